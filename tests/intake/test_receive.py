import io
from array import array
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import msgspec
import pytest

from nunchi.intake.receive.push import PushReceiver
from nunchi.intake.receive.remote_write import RemoteWriteReceiver
from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.kit.errors import WorldError
from nunchi.kit.http_server import HttpPolicy, HttpServer
from nunchi.kit.logs import logger
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.model.staleness import STALE
from nunchi.testing.contracts.store import CUSTOM, LATENCY, mixed_samples_of
from nunchi.wire.compression import encode
from nunchi.wire.payload import CONTENT_TYPE, Sender
from nunchi.wire.payload_encoder import Round, encode_payload
from nunchi.wire.remote_write import encode_write_request

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
A, B = Labels.of("a", job="j"), Labels.of("b", job="j")


@pytest.fixture
async def url(door, clock, telemetry) -> AsyncIterator[str]:
    write = RemoteWriteReceiver(door, telemetry, logger("test"))
    push = PushReceiver(AgentRegistry(door, clock, telemetry, logger("test")), telemetry)
    routes = [*write.routes(), *push.routes()]
    server = HttpServer("test", "127.0.0.1:0", routes, HttpPolicy(), clock, telemetry, logger("test"))
    await server.start()
    yield server.url
    await server.stop()


@pytest.fixture
async def post(url: str):
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def send(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
            async with session.post(url + path, data=io.BytesIO(body), headers=headers) as answer:
                return answer.status, await answer.text(), dict(answer.headers)

        yield send


@pytest.fixture
def write(post):
    async def send(body: bytes, **headers: str) -> tuple[int, str, dict[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await post("/api/v1/write", encode("snappy", body), {**HEADERS, **named})

    return send


async def test_a_request_is_stored_and_answered_with_nothing(write, store, clock) -> None:
    now = clock.now_ms()
    known = {"a": Metadata(MetricType.COUNTER, "What a is.", "")}
    body = encode_write_request([(A, [(now - 1000, 1.0), (now, 2.0)]), (B, [(now, STALE)])], known)
    assert (await write(body))[:2] == (204, "")
    assert store.samples() == {
        'a{job="j"}': [(now - 1000, 1.0), (now, 2.0)],
        'b{job="j"}': [(now, "stale")],
    }
    assert store.metadata()["a"].help == "What a is."


async def test_requests_of_many_senders_meet_in_the_same_series(write, store, clock) -> None:
    now = clock.now_ms()
    for shift in range(5):
        assert (await write(encode_write_request([(A, [(now + shift, 1.0)]), (B, [(now + shift, 2.0)])])))[0] == 204
    assert [len(samples) for samples in store.samples().values()] == [5, 5]


async def test_what_can_be_stored_is_stored_and_the_rest_named(write, store, clock) -> None:
    now = clock.now_ms()
    await write(encode_write_request([(A, [(now, 1.0)])]))
    status, text, _ = await write(
        encode_write_request([(A, [(now, 9.0), (now - 5, 3.0)]), (B, [(now, 2.0), (now + 10**7, 4.0)])])
    )
    assert status == 400
    assert text.startswith("1 samples stored, 3 rejected")
    for part in ("duplicate_timestamp: 1", "out_of_order: 1", "too_far_in_future: 1", 'a{job="j"} at', 'b{job="j"} at'):
        assert part in text
    assert store.samples() == {'a{job="j"}': [(now, 1.0)], 'b{job="j"}': [(now, 2.0)]}


async def test_a_request_sent_again_is_accepted_again(write, clock) -> None:
    body = encode_write_request([(A, [(clock.now_ms(), 1.0)])])
    assert [(await write(body))[0] for _ in range(2)] == [204, 204]


async def test_series_with_bad_labels_do_not_hold_up_the_others(write, store, clock) -> None:
    now = clock.now_ms()
    status, text, _ = await write(
        encode_write_request([(Labels({"job": "nameless"}), [(now, 1.0)]), (B, [(now, 2.0)])])
    )
    assert status == 400
    assert "invalid_labels: 1" in text
    assert store.samples() == {'b{job="j"}': [(now, 2.0)]}


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        ({"Content_Type": "application/json"}, "expected application/x-protobuf"),
        (
            {"Content_Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"},
            "io.prometheus.write.v2.Request protobuf message is not accepted by this server; accepted: prometheus.WriteRequest",
        ),
        ({"Content_Type": "application/x-protobuf;proto=other"}, "other protobuf message is not known"),
        ({"Content_Encoding": "zstd"}, "zstd encoding (compression) is not accepted by this server; only snappy"),
    ],
)
async def test_another_format_is_refused_so_that_the_sender_may_choose_again(write, headers, fault) -> None:
    status, text, _ = await write(b"", **headers)
    assert status == 415
    assert fault in text


async def test_the_message_may_be_named(write, clock) -> None:
    body = encode_write_request([(A, [(clock.now_ms(), 1.0)])])
    assert (await write(body, Content_Type="application/x-protobuf;proto=prometheus.WriteRequest"))[0] == 204


async def test_broken_bodies_are_bad_requests_and_nothing_else_is_affected(post, write, store, clock) -> None:
    for body in (b"", b"no snappy at all", encode("snappy", b"\xff\xff\xff")):
        assert (await post("/api/v1/write", body, HEADERS))[0] == 400
    await write(encode_write_request([(A, [(clock.now_ms(), 1.0)])]))
    assert store.values("a") == [1]


async def test_a_body_that_unpacks_to_too_much_is_too_large(post) -> None:
    status, text, _ = await post("/api/v1/write", encode("snappy", bytes(33 << 20)), HEADERS)
    assert status == 413
    assert "33554432 bytes allowed" in text


async def test_a_store_that_fails_asks_for_the_request_again(write, store, clock) -> None:
    def full(*_) -> None:
        raise WorldError("disk full")

    store.publish = full
    status, text, headers = await write(encode_write_request([(A, [(clock.now_ms(), 1.0)])]))
    assert (status, text, headers["Retry-After"]) == (503, "not stored: disk full", "5")


def payload(clock, *, agent_id: str = "a1", epoch: int = 1, name: str = "web-1", address: int = 0) -> bytes:
    layout = Layout.of(Labels.of("node_load1", job="node"))
    row = Round(clock.now_ms(), layout, array("i", [0]), array("d", [1.5]))
    return encode_payload(Sender(agent_id, name, "0.1", epoch), 0, 10_000, [row])


async def test_a_push_is_acknowledged_after_it_was_stored_and_known_when_it_comes_again(post, store, clock) -> None:
    body = payload(clock)
    answers = [await post("/api/v1/push", body, {"Content-Type": CONTENT_TYPE}) for _ in range(2)]
    assert [status for status, _, _ in answers] == [200, 200]
    assert [msgspec.json.decode(text) for _, text, _ in answers] == [
        {"accepted": 1, "duplicate": 0, "rejected": {}},
        {"accepted": 0, "duplicate": 1, "rejected": {}},
    ]
    assert store.values("node_load1") == [1.5]
    assert store.values("up") == [1]


async def test_a_second_live_agent_is_a_conflict(post, clock) -> None:
    await post("/api/v1/push", payload(clock), {"Content-Type": CONTENT_TYPE})
    second = payload(clock, agent_id="b2")
    status, text, _ = await post("/api/v1/push", second, {"Content-Type": CONTENT_TYPE})
    assert status == 409
    assert "is called web-1" in text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda body: b"", 400),
        (lambda body: body[:-1], 400),
        (lambda body: bytes([99]) + body[1:], 415),
        (lambda body: body[:4] + (1 << 30).to_bytes(4, "little") + body[8:], 413),
        (lambda body: body[:-2] + bytes([body[-2] ^ 1]) + body[-1:], 400),
    ],
)
async def test_a_broken_payload_is_refused_by_kind(post, store, clock, change, expected: int) -> None:
    status, text, _ = await post("/api/v1/push", change(payload(clock)), {"Content-Type": CONTENT_TYPE})
    assert status == expected
    assert "payload" in text or "zstd" in text
    assert store.samples() == {}


async def test_a_push_of_another_content_type_is_refused(post, clock) -> None:
    assert (await post("/api/v1/push", payload(clock), {"Content-Type": "text/plain"}))[0] == 415


async def test_a_store_that_fails_leaves_the_payload_with_the_agent(post, store, clock) -> None:
    real = store.publish

    def full(*_) -> None:
        raise WorldError("disk full")

    store.publish = full
    body = payload(clock)
    status, text, headers = await post("/api/v1/push", body, {"Content-Type": CONTENT_TYPE})
    assert (status, text) == (503, "not stored: disk full")
    assert headers["Retry-After"]
    store.publish = real
    assert (await post("/api/v1/push", body, {"Content-Type": CONTENT_TYPE}))[0] == 200
    assert store.values("node_load1") == [1.5]


async def test_native_histograms_are_stored_and_what_contradicts_itself_is_named(write, store, clock) -> None:
    now = clock.now_ms()
    status, text, _ = await write(encode_write_request([(A, [(now + 1, 1.0), (now + 2, LATENCY)])]))
    assert (status, text) == (204, "")
    wrong = replace(LATENCY, positive_buckets=(1.0,))
    status, text, _ = await write(encode_write_request([(A, [(now + 3, wrong), (now + 4, CUSTOM)])]))
    assert status == 400
    assert "1 samples stored, 1 rejected (invalid_histogram: 1)" in text
    assert mixed_samples_of(store)[A] == [(now + 1, 1.0), (now + 2, LATENCY), (now + 4, CUSTOM)]
