"""The MongoDB check on answers written after the manual's pages of serverStatus, replSetGetStatus, dbStats and top, over a
server that speaks OP_MSG and SCRAM-SHA-256 as their specifications say. No real server is at hand; the guide says so.
"""

import base64
import contextlib
import hashlib
import hmac
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.agent.checks.services import Measured, measure, saying_peer, silent_peer

from nunchi.agent.checks.mongodb import MongodbCheck, MongodbSettings
from nunchi.agent.clients.bson import decode_document, encode_document
from nunchi.agent.clients.mongodb import HEADER, OP_MSG
from nunchi.kit.secrets import Secret

STATUS = {
    "version": "6.0.5",
    "uptime": 100,
    "asserts": {"regular": 1, "warning": 0},
    "connections": {"current": 7, "available": 800},
    "opcounters": {"insert": 4, "query": 2118},
    "mem": {"resident": 120, "supported": True},
    "metrics": {"document": {"inserted": 9}, "cursor": {"open": {"total": 3}}},
    "wiredTiger": {"cache": {"bytes currently in the cache": 4096}, "concurrentTransactions": {"read": {"out": 2}}},
    "repl": {"setName": "rs0"},
}
ANSWERS: dict[str, dict[str, Any]] = {
    "serverStatus": STATUS,
    "replSetGetStatus": {
        "set": "rs0",
        "myState": 1,
        "members": [{"name": "a:1", "stateStr": "PRIMARY", "health": 1}],
    },
    "listDatabases": {"databases": [{"name": "shop"}]},
    "dbStats": {"objects": 12, "dataSize": 3400},
    "top": {"totals": {"shop.orders": {"queries": {"count": 5, "time": 70}}}},
}
PASSWORD, SALT, ITERATIONS = "open sesame", b"0123456789abcdef", 4096


class Server:
    """One connection at a time."""

    def __init__(self, *, with_login: bool) -> None:
        self.with_login = with_login
        self.is_known = not with_login
        self.first = self.server_first = ""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError, struct.error):
                self.is_known = not self.with_login
                while True:
                    length, number, _, _ = HEADER.unpack(connection.recv(16, socket.MSG_WAITALL))
                    content = connection.recv(length - 16, socket.MSG_WAITALL)
                    answer = self.answer(decode_document(content[5:]))
                    body = struct.pack("<I", 0) + b"\0" + encode_document(answer)
                    connection.sendall(HEADER.pack(16 + len(body), 1, number, OP_MSG) + body)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        command = next(iter(question))
        if command == "saslStart":
            self.first = question["payload"].decode().removeprefix("n,,")
            self.server_first = f"{self.first.split(',')[1]}xyz,s={base64.b64encode(SALT).decode()},i={ITERATIONS}"
            return {"ok": 1, "conversationId": 1, "payload": self.server_first.encode(), "done": False}
        if command == "saslContinue":
            return self.judge(question["payload"].decode())
        if not self.is_known:
            return {"ok": 0, "errmsg": f"command {command} requires authentication"}
        return (
            {"ok": 1, **ANSWERS[command]} if command in ANSWERS else {"ok": 0, "errmsg": f"no such command: {command}"}
        )

    def judge(self, payload: str) -> dict[str, Any]:
        bare, _, proof = payload.rpartition(",p=")
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), SALT, ITERATIONS)
        message = f"{self.first},{self.server_first},{bare}".encode()
        stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
        signature = hmac.digest(stored, message, "sha256")
        key = bytes(one ^ two for one, two in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.sha256(key).digest() != stored:
            return {"ok": 0, "errmsg": "Authentication failed."}
        self.is_known = True
        verifier = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return {"ok": 1, "conversationId": 1, "done": True, "payload": b"v=" + base64.b64encode(verifier)}


@contextlib.contextmanager
def serving(*, with_login: bool = False) -> Iterator[str]:
    server = Server(with_login=with_login)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        thread.join(5)


def check(address: str, **settings: object) -> Measured:
    return measure(MongodbCheck(MongodbSettings(address=address, **settings)))  # type: ignore[arg-type]


def test_status_is_shown_under_mongodb_exporters_names() -> None:
    with serving() as address:
        shown = check(address, top=True)
    assert shown.value("mongodb_up") == 1
    assert shown.value("mongodb_ss_opcounters", legacy_op_type="query") == 2118
    assert shown.value("mongodb_ss_connections", conn_type="current") == 7
    assert shown.value("mongodb_ss_metrics_document", doc_op_type="inserted") == 9
    assert shown.value("mongodb_ss_metrics_cursor_open", csr_type="total") == 3
    assert shown.value("mongodb_ss_mem_resident") == 120
    assert shown.value("mongodb_ss_wt_cache_bytes_currently_in_the_cache") == 4096
    assert shown.value("mongodb_ss_wt_concurrentTransactions_read_out") == 2
    assert shown.value("mongodb_mongod_replset_my_state", set="rs0") == 1
    assert shown.value("mongodb_rs_members_health", member_idx="a:1", member_state="PRIMARY") == 1
    assert shown.value("mongodb_dbstats_dataSize", database="shop") == 3400
    assert shown.value("mongodb_top_queries_time", database="shop", collection="orders") == 70
    assert shown.error is None
    assert shown.types["mongodb_ss_opcounters"] == "untyped"


def test_login_proves_both_sides_and_a_wrong_password_is_named() -> None:
    with serving(with_login=True) as address:
        assert check(address, username="nunchi", password=Secret(PASSWORD), databases=False).value("mongodb_up") == 1
        wrong = check(address, username="nunchi", password=Secret("guess"))
        assert (wrong.value("mongodb_up"), "Authentication failed" in str(wrong.error)) == (0, True)
        assert "requires authentication" in str(check(address).error)


def test_silence_and_garbage_are_down_with_the_reason_in_time() -> None:
    with silent_peer() as port:
        shown = measure(MongodbCheck(MongodbSettings(address=f"127.0.0.1:{port}")), deadline_seconds=0.5)
        assert (shown.value("mongodb_up"), shown.seconds < 0.5) == (0, True)
    for answer in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 64, HEADER.pack(1 << 30, 1, 1, OP_MSG)):
        with saying_peer(answer) as port:
            shown = check(f"127.0.0.1:{port}")
            assert shown.value("mongodb_up") == 0
            assert str(shown.error).startswith(f"127.0.0.1:{port}: ")


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**31), 2**31 - 1), st.text(), st.binary()),
    lambda inner: st.dictionaries(st.text(st.characters(exclude_characters="\0", codec="utf-8")), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(exclude_characters="\0", codec="utf-8")), VALUES, max_size=5))
def test_documents_come_back_as_they_were_sent(document: dict[str, Any]) -> None:
    assert decode_document(encode_document(document)) == document


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode_document(content)
    with contextlib.suppress(ValueError):
        decode_document(struct.pack("<i", len(content) + 4) + content)
