"""The probes on real servers, beside blackbox_exporter asking the same ones, and on servers that are silent or wrong."""

import contextlib
import http.server
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.checks.services import (
    Measured,
    Samples,
    Types,
    find_exporter,
    listens,
    measure,
    saying_peer,
    silent_peer,
    started,
)
from tests.agent.frozen import parse_text
from tests.peers import free_port

from nunchi.agent.checks.dns import DnsCheck, DnsSettings
from nunchi.agent.checks.http import HttpCheck, HttpSettings
from nunchi.agent.checks.icmp import IcmpCheck, IcmpSettings
from nunchi.agent.checks.tcp import TcpCheck, TcpSettings, TcpStep
from nunchi.agent.checks.tls import TlsCheck, TlsSettings
from nunchi.agent.clients.certificate import parse_certificate
from nunchi.agent.clients.dns import HEADER, encode_question, parse_answer
from nunchi.agent.errors import ServiceError
from nunchi.kit.settings import FieldError
from nunchi.kit.tls import TlsClientSettings

MODULES = """
modules:
  http: {prober: http, http: {tls_config: {insecure_skip_verify: true}}}
  tcp: {prober: tcp}
  tls: {prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}}
  icmp: {prober: icmp, icmp: {preferred_ip_protocol: ip4}}
  dns: {prober: dns, dns: {query_name: example.org, query_type: A, preferred_ip_protocol: ip4}}
"""
# What is not as blackbox_exporter shows it, and why.
EXCEPTIONS = {
    "probe_ssl_last_chain_expiry_timestamp_seconds": "Python does not tell the verified chain",
    "probe_dns_duration_seconds": "a question by datagram has no phase of connecting; `request` is there",
    "probe_failed_due_to_regex": "compared where there is an expression",
}


@dataclass(frozen=True)
class Servers:
    web: int
    secure: int
    name: int
    authority: Path


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/page")
            self.end_headers()
            return
        body = b"all is well" if self.path == "/page" else b"no"
        self.send_response(200 if self.path == "/page" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


def answer_questions(datagrams: socket.socket) -> None:
    while True:
        try:
            question, sender = datagrams.recvfrom(512)
        except OSError:
            return
        number = int.from_bytes(question[:2], "big")
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([192, 0, 2, 1])
        datagrams.sendto(HEADER.pack(number, 0x8180, 1, 1, 0, 0) + question[12:] + record, sender)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("probes")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with contextlib.ExitStack() as stack:
        ports = []
        for tls in (None, context):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
            server.handle_error = lambda *_: None  # type: ignore[method-assign, assignment]
            if tls:
                server.socket = tls.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            ports.append(server.server_address[1])
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", 0))
        threading.Thread(target=answer_questions, args=(datagrams,), daemon=True).start()
        yield Servers(ports[0], ports[1], datagrams.getsockname()[1], folder / "ca.pem")


@pytest.fixture(scope="module")
def blackbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("blackbox"), free_port()
    (folder / "modules.yml").write_text(MODULES)
    command = [
        find_exporter((0, 26), "prometheus-blackbox-exporter", "blackbox_exporter"),
        f"--config.file={folder / 'modules.yml'}",
    ]
    with started([*command, f"--web.listen-address=127.0.0.1:{port}"], listens(port), folder / "log"):
        yield f"http://127.0.0.1:{port}/probe"


def theirs(blackbox: str, module: str, target: str) -> tuple[Samples, Types]:
    query = urllib.parse.urlencode({"module": module, "target": target})
    with urllib.request.urlopen(f"{blackbox}?{query}") as answer:
        return parse_text(answer.read().decode())


def assert_as_blackbox(ours: Measured, target: str, shown: tuple[Samples, Types]) -> None:
    wanted = {
        (name, tuple(sorted((*labels, ("target", target))))) for name, labels in shown[0] if name not in EXCEPTIONS
    }
    missing = sorted(wanted - ours.samples.keys())
    assert missing == []
    assert {name: ours.types[name] for name, _ in wanted} == {name: shown[1][name] for name, _ in wanted}
    for name in (
        "probe_success",
        "probe_ip_addr_hash",
        "probe_ip_protocol",
        "probe_ssl_earliest_cert_expiry",
        "probe_http_status_code",
    ):
        if (name, ()) in shown[0]:
            assert ours.value(name, target=target) == shown[0][name, ()]


@pytest.mark.peer
def test_probes_show_what_blackbox_exporter_shows(servers: Servers, blackbox: str) -> None:
    lax = TlsClientSettings(insecure_skip_verify=True)
    web, secure = f"http://127.0.0.1:{servers.web}/elsewhere", f"https://127.0.0.1:{servers.secure}/page"
    ours = measure(HttpCheck(HttpSettings(targets=(web, secure), tls_config=lax)))
    assert ours.error is None
    for target in (web, secure):
        assert_as_blackbox(ours, target, theirs(blackbox, "http", target))
    assert ours.value("probe_http_redirects", target=web) == 1
    address = f"127.0.0.1:{servers.secure}"
    assert_as_blackbox(measure(TcpCheck(TcpSettings(targets=(address,)))), address, theirs(blackbox, "tcp", address))
    for check in (
        TcpCheck(TcpSettings(targets=(address,), tls=True, tls_config=lax)),
        TlsCheck(TlsSettings(targets=(address,), tls_config=lax)),
    ):
        assert_as_blackbox(measure(check), address, theirs(blackbox, "tls", address))
    name = f"127.0.0.1:{servers.name}"
    dns = measure(DnsCheck(DnsSettings(targets=(name,), query_name="example.org")))
    assert dns.error is None
    assert_as_blackbox(dns, name, theirs(blackbox, "dns", name))
    echo = measure(IcmpCheck(IcmpSettings(targets=("127.0.0.1",))))
    if "no right to send" in str(echo.error):
        pytest.skip("echo requests may not be sent here")
    assert_as_blackbox(echo, "127.0.0.1", theirs(blackbox, "icmp", "127.0.0.1"))


def test_page_is_judged_by_status_body_and_transport(servers: Servers) -> None:
    page, absent = f"http://127.0.0.1:{servers.web}/page", f"http://127.0.0.1:{servers.web}/absent"
    shown = measure(HttpCheck(HttpSettings(targets=(page, absent))))
    assert (shown.value("probe_success", target=page), shown.value("probe_success", target=absent)) == (1, 0)
    assert str(shown.error) == f"{absent}: answers 404 Not Found"

    def reason(**settings: object) -> str:
        return str(measure(HttpCheck(HttpSettings(targets=(page,), **settings))).error)  # type: ignore[arg-type]

    assert reason(fail_if_body_not_matches_regexp=("well",)) == "None"
    assert "does not match 'ill'" in reason(fail_if_body_not_matches_regexp=("ill",))
    assert "matches 'well'" in reason(fail_if_body_matches_regexp=("well",))
    assert "not over TLS" in reason(fail_if_not_ssl=True)
    assert "answers 200" in reason(valid_status_codes=(204,))
    assert "larger than 5 bytes" in reason(body_bytes_max=5)


def test_certificate_is_shown_though_it_is_refused(servers: Servers) -> None:
    address = f"127.0.0.1:{servers.secure}"
    refused = measure(TlsCheck(TlsSettings(targets=(address,))))
    assert refused.value("probe_success", target=address) == 0
    assert "its certificate is refused" in str(refused.error)
    assert refused.value("probe_ssl_earliest_cert_expiry", target=address) > time.time()
    trusted = TlsClientSettings(ca_file=str(servers.authority))
    shown = measure(TlsCheck(TlsSettings(targets=(address,), tls_config=trusted)))
    assert (shown.error, shown.value("probe_success", target=address)) == (None, 1)
    plain = measure(TlsCheck(TlsSettings(targets=(f"127.0.0.1:{servers.web}",))))
    assert "TLS: " in str(plain.error)


def test_dialogue_is_held_line_by_line() -> None:
    with saying_peer(b"220 hello\r\n250 fine\r\n") as port:
        target = f"127.0.0.1:{port}"
        steps = (TcpStep(expect="^220", send="EHLO me"), TcpStep(expect="^250"))
        shown = measure(TcpCheck(TcpSettings(targets=(target,), query_response=steps)))
        assert (shown.error, shown.value("probe_failed_due_to_regex", target=target)) == (None, 0)
        wrong = measure(TcpCheck(TcpSettings(targets=(target,), query_response=(TcpStep(expect="^SSH"),))))
        assert wrong.value("probe_failed_due_to_regex", target=target) == 1
        assert wrong.value("probe_success", target=target) == 0


def test_dns_answers_are_judged(servers: Servers) -> None:
    target = f"127.0.0.1:{servers.name}"

    def error(**settings: object) -> str:
        return str(measure(DnsCheck(DnsSettings(targets=(target,), query_name="example.org", **settings))).error)  # type: ignore[arg-type]

    assert error(fail_if_not_matches_regexp=r"192\.0\.2\.1$", fail_if_no_answer=True) == "None"
    assert "does not match" in error(fail_if_not_matches_regexp="203")
    assert "answers NOERROR" in error(valid_rcodes=("NXDOMAIN",))
    assert "refused" in error(transport_protocol="tcp")


def test_hanging_target_delays_no_other_and_all_are_shown_in_time(servers: Servers) -> None:
    page = f"http://127.0.0.1:{servers.web}/page"
    with silent_peer() as port:
        hanging = [f"http://127.0.0.1:{port}/{number}" for number in range(5)]
        shown = measure(HttpCheck(HttpSettings(targets=(*hanging, page))), deadline_seconds=1)
        assert shown.seconds < 1
        assert shown.value("probe_success", target=page) == 1
        assert [shown.value("probe_success", target=target) for target in hanging] == [0] * 5
        assert shown.value("probe_duration_seconds", target=page) < 0.5
        assert "no whole answer within 0.8 s" in str(shown.error)


def test_name_that_does_not_resolve_and_port_without_service_are_named() -> None:
    shown = measure(TcpCheck(TcpSettings(targets=("name.invalid:80", f"127.0.0.1:{free_port()}"))))
    assert list(shown.of("probe_success").values()) == [0, 0]
    assert "name.invalid: cannot be resolved" in str(shown.error)
    assert "onnection refused" in str(shown.error)


@given(st.binary(max_size=300))
def test_no_bytes_of_a_peer_break_the_readers(content: bytes) -> None:
    with contextlib.suppress(ServiceError):
        parse_certificate(content)
    with contextlib.suppress(ValueError, IndexError, struct.error):
        parse_answer(encode_question("a.b", "A", 7)[:2] + b"\x81\x80" + content, 7)


def test_wrong_settings_are_refused_with_the_cure() -> None:
    with pytest.raises(FieldError, match="twice"):
        IcmpSettings(targets=("a", "a"))
    with pytest.raises(FieldError, match="one of A, NS"):
        DnsSettings(query_type="B")
    with pytest.raises(FieldError, match="write it in full"):
        HttpSettings(targets=("example.org",))


@pytest.mark.parametrize(("first", "shown"), [(b"\x0b\x02", "0b02"), (b"\x00\xa7", "a7"), (b"\x5c\x00", "5c00")])
def test_a_serial_number_has_two_digits_a_byte_and_no_byte_for_its_sign(first: bytes, shown: str) -> None:
    content = ssl.PEM_cert_to_DER_cert(trustme.CA().cert_pem.bytes().decode())
    version = bytes.fromhex("a003020102")
    begin = content.index(version) + len(version) + 2  # behind its tag and length
    length = content[begin - 1]
    certificate = parse_certificate(content[:begin] + first + bytes(length - 2) + content[begin + length :])
    assert certificate.serial_number == shown + "00" * (length - 2)
