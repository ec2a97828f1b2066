"""The bus over a real NATS server: the contract, and what only NATS can do: be old, be set up otherwise, ask for secrets."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from tests.nats import NatsServer
from tests.peers import free_port

from nunchi.kit.bus import Bus, BusUnavailableError, BusUnsuitableError, Consumption
from nunchi.kit.bus_settings import BusSettings
from nunchi.kit.buses.nats.bus import NatsBus
from nunchi.kit.logs import logger
from nunchi.kit.secrets import Secret
from nunchi.kit.tls import TlsClientSettings
from nunchi.testing.contracts.bus import SHARED, STREAM, A, BusSuite, take

pytestmark = pytest.mark.peer


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


def bus_to(url: str, folder: Path = Path(), **settings: object) -> NatsBus:
    return NatsBus(BusSettings(urls=[url], **settings), "test", folder, logger("test"))


class TestNatsBus(BusSuite):
    @pytest.fixture(autouse=True)
    def _server(self, nats: NatsServer) -> None:
        self.url = nats.url

    def make(self) -> Bus:
        return bus_to(self.url)


async def test_a_server_that_was_killed_has_what_it_acknowledged_and_delivers_it_after_its_return(nats) -> None:
    bus = bus_to(nats.url)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    await bus.listen("suite.answers.a", heard.put_nowait)
    consumer = await bus.consume(STREAM, SHARED)
    await bus.put(A, b"kept")
    nats.kill()
    with pytest.raises(BusUnavailableError):
        await bus.put(A, b"nobody is there")
    with pytest.raises(BusUnavailableError):
        await consumer.take(1, 5.0)
    nats.start()
    [one] = await take(await bus.consume(STREAM, SHARED), 1)
    assert one.body == b"kept"
    await one.accept()
    await bus.tell("suite.answers.a", b"heard over the new connection")
    async with asyncio.timeout(5):
        assert await heard.get() == b"heard over the new connection"
    await bus.close()


async def test_waiting_for_messages_ends_when_the_connection_does(nats) -> None:
    bus = bus_to(nats.url)
    consumer = await bus.consume(STREAM, SHARED)
    waiting = asyncio.create_task(consumer.take(1, 60.0))
    await asyncio.sleep(0.2)  # the request stands at the server
    nats.kill()
    async with asyncio.timeout(5):
        with pytest.raises(BusUnavailableError):
            await waiting
    await bus.close()


async def test_what_came_ahead_and_was_not_handed_out_goes_to_others_at_once(nats) -> None:
    slow = Consumption("servers", unsettled_max=100, settle_seconds_max=3600.0)
    first, second = bus_to(nats.url), bus_to(nats.url)
    consumer = await first.consume(STREAM, slow)
    asking = asyncio.create_task(consumer.take(4, 5.0))
    await asyncio.sleep(0.1)  # the request stands at the server
    await second.put(A, b"1")
    [one] = await asking
    await one.accept()
    await second.put(A, b"2")  # the request of the first still stands
    await asyncio.sleep(0.2)  # the message comes ahead
    await consumer.close()
    [two] = await take(await second.consume(STREAM, slow), 1)
    assert (two.body, two.deliveries) == (b"2", 2)
    await first.close()
    await second.close()


async def test_the_stream_discards_nothing_and_the_consumer_asks_for_words(nats) -> None:
    bus = bus_to(nats.url)
    await bus.consume(STREAM, SHARED)
    found = nats.streams()["suite-rounds"]
    config, consumer = found["config"], found["consumer_detail"][0]["config"]
    assert (config["retention"], config["discard"], config["storage"]) == ("workqueue", "new", "file")
    assert (config["discard_new_per_subject"], config["max_age"], config["max_msgs"]) == (True, 0, -1)
    assert (consumer["ack_policy"], consumer["max_deliver"]) == ("explicit", -1)
    await bus.close()


async def test_bounds_are_changed_where_they_can_be_and_other_kinds_of_stream_are_refused(nats) -> None:
    bus = bus_to(nats.url)
    await bus.consume(STREAM, SHARED)
    await bus.consume(replace(STREAM, bytes_max=1 << 20), replace(SHARED, unsettled_max=7))
    found = nats.streams()["suite-rounds"]
    assert found["config"]["max_bytes"] == 1 << 20
    assert found["consumer_detail"][0]["config"]["max_ack_pending"] == 7
    client = await bus._connected()
    await client.jetstream().add_stream(name="made-by-hand", subjects=["by.hand.*"])
    with pytest.raises(BusUnsuitableError, match="made-by-hand"):
        await bus.consume(replace(STREAM, name="made-by-hand", topics="by.hand.*"), SHARED)
    await bus.close()


async def test_more_replicas_than_servers_are_refused_with_the_servers_words(nats) -> None:
    bus = bus_to(nats.url)
    with pytest.raises(BusUnsuitableError, match="replicas"):
        await bus.consume(replace(STREAM, replicas=3), SHARED)
    await bus.close()


async def test_an_older_server_is_refused_with_its_version() -> None:
    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.9.25","max_payload":1048576,"headers":true}\r\n')
        while line := await reader.readline():
            if line.startswith(b"CONNECT") and b'"verbose": true' in line:
                writer.write(b"+OK\r\n")
            elif line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            await writer.drain()
        writer.close()

    pytest.importorskip("nats")
    listener = await asyncio.start_server(pretend, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        with pytest.raises(BusUnsuitableError, match=re.escape("2.9.25: 2.10 or newer is needed")):
            await bus_to(f"nats://127.0.0.1:{port}").consume(STREAM, SHARED)


async def test_nobody_there_says_where_and_why() -> None:
    pytest.importorskip("nats")
    port = free_port()
    with pytest.raises(BusUnavailableError, match=rf"127.0.0.1:{port}: no connection: Connection refused"):
        await bus_to(f"nats://127.0.0.1:{port}").put(A, b"x")


@pytest.mark.parametrize("lines", ["user: ann\npassword: one", "token: one"])
async def test_secrets_of_files_open_the_bus_and_wrong_ones_say_so(tmp_path: Path, lines: str) -> None:
    server = NatsServer(tmp_path / "nats", f"authorization {{ {lines} }}")
    server.start()
    (tmp_path / "secret").write_text("one\n")
    is_token = lines.startswith("token")
    good = {"token_file": "secret"} if is_token else {"username": "ann", "password_file": "secret"}
    bad = {"token": Secret("two")} if is_token else {"username": "ann", "password": Secret("two")}
    missing = {"token_file": "nowhere"} if is_token else {"username": "ann", "password_file": "nowhere"}
    try:
        bus = bus_to(server.url, tmp_path, **good)
        await bus.consume(STREAM, SHARED)
        await bus.close()
        with pytest.raises(BusUnavailableError, match="Authorization Violation"):
            await bus_to(server.url, tmp_path, **bad).put(A, b"x")
        with pytest.raises(BusUnavailableError, match="nowhere"):
            await bus_to(server.url, tmp_path, **missing).put(A, b"x")
    finally:
        server.stop()


async def test_nothing_is_sent_before_the_server_has_judged_the_secrets_so_its_reason_is_heard() -> None:
    """A write to a socket that the other end has closed is answered with a reset, and with that its last line is lost."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"auth_required":true}\r\n')
        assert (await reader.readline()).startswith(b"CONNECT")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.readline()
                writer.transport.abort()  # what the system does with what comes too late
                return
        writer.write(b"-ERR 'Authorization Violation'\r\n")
        writer.close()

    pytest.importorskip("nats")
    listener = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        with pytest.raises(BusUnavailableError, match="Authorization Violation"):
            await bus_to(f"nats://127.0.0.1:{port}", username="ann", password=Secret("two")).put(A, b"x")


async def test_over_tls_the_certificate_is_verified_and_nothing_is_sent_in_the_clear(tmp_path: Path, nats) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    stranger.cert_pem.write_to_path(tmp_path / "other.pem")
    lines = f'tls {{ cert_file: "{tmp_path}/cert.pem", key_file: "{tmp_path}/key.pem" }}'
    server = NatsServer(tmp_path / "tls", lines)
    server.start()
    url = server.url.replace("nats://", "tls://")
    try:
        bus = bus_to(url, tmp_path, tls_config=TlsClientSettings(ca_file="ca.pem"))
        await bus.consume(STREAM, SHARED)
        await bus.put(A, b"x")
        await bus.close()
        with pytest.raises(BusUnavailableError, match=r"(?i)certificate"):
            await bus_to(url, tmp_path, tls_config=TlsClientSettings(ca_file="other.pem")).put(A, b"x")
        with pytest.raises(BusUnavailableError, match="offers no TLS"):
            await bus_to(nats.url.replace("nats://", "tls://"), username="ann", password=Secret("p")).put(A, b"x")
    finally:
        server.stop()
