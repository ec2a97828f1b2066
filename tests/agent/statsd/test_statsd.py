"""The whole part over real sockets, with the clients that people use."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nunchi.agent.emission import Emission
from nunchi.agent.statsd.settings import StatsdSettings
from nunchi.agent.statsd.statsd import Statsd
from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.settings import SettingsError, load
from nunchi.kit.telemetry import Telemetry


@asynccontextmanager
async def running(text: str, folder: Path = Path(), telemetry: Telemetry | None = None) -> AsyncIterator[Statsd]:
    settings = load(StatsdSettings, text, "test")
    statsd = Statsd(settings, 10.0, SystemClock(), random.Random(3), telemetry or Telemetry(), logger("test"), folder)
    task = asyncio.create_task(statsd.run())
    try:
        async with asyncio.timeout(10):
            await statsd.is_listening.wait()
        yield statsd
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def shown(statsd: Statsd) -> dict[str, float]:
    emission = Emission()
    statsd.aggregation.emit(emission)
    return {name + "".join(f",{k}={v}" for k, v in labels): value for name, labels, value in emission.samples}


async def wait_shown(statsd: Statsd, name: str, value: float) -> dict[str, float]:
    async with asyncio.timeout(20):
        while shown(statsd).get(name) != value:  # noqa: ASYNC110 (what arrives, arrives by the kernel)
            await asyncio.sleep(0.01)
    return shown(statsd)


async def wait_ended(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            assert await reader.read() == b""


async def test_all_transports_lead_to_one_place(tmp_path: Path) -> None:
    text = f"""
udp: ["127.0.0.1:0", "[::1]:0"]
tcp: ["127.0.0.1:0"]
unix_datagram: ["{tmp_path}/d.sock"]
unix_stream: ["{tmp_path}/s.sock"]
unix_mode: "600"
"""
    async with running(text) as statsd:
        for family, host, port in (
            (socket.AF_INET, "127.0.0.1", statsd.udp_ports[0]),
            (socket.AF_INET6, "::1", statsd.udp_ports[1]),
        ):
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"n:1|c\nn:1|c\n", (host, port))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"n:1|c", f"{tmp_path}/d.sock")
        _, writer = await asyncio.open_connection("127.0.0.1", statsd.tcp_ports[0])
        for piece in (b"n:1|c\nn:", b"1|", b"c\nn:1|c"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()
        _, writer = await asyncio.open_unix_connection(f"{tmp_path}/s.sock")
        frame = b"n:1|c\nn:1|c"
        framed = len(frame).to_bytes(4, "little") + frame
        writer.write(framed + framed[:7])
        await writer.drain()
        writer.write(framed[7:])
        writer.close()
        await writer.wait_closed()
        assert (tmp_path / "s.sock").stat().st_mode & 0o777 == 0o600
        assert await wait_shown(statsd, "n", 12) == {"n": 12}
    assert not any((tmp_path / name).exists() for name in ("d.sock", "s.sock"))


async def test_streams_are_bounded_and_bad_ones_end(tmp_path: Path) -> None:
    telemetry = Telemetry()
    async with running(f'{{udp: [], tcp: ["127.0.0.1:0"], unix_stream: ["{tmp_path}/s"], connections_max: 2}}',
                       telemetry=telemetry) as statsd:  # fmt: skip
        readers = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", statsd.tcp_ports[0])
            readers.append((reader, writer))
            writer.write(b"c:1|c\n")
            await writer.drain()
        await wait_ended(readers[0][0])
        readers[2][1].write(b"x" * 200_000)
        reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/s")
        writer.write(b"\xff\xff\xff\xff")
        await writer.drain()
        await wait_ended(reader)
        async with asyncio.timeout(10):
            while True:
                instrument = telemetry.find("agent_statsd_dropped_total")
                assert instrument is not None
                reasons = {labels[0][1] for _, labels, _ in instrument.samples()}
                if {"connections_max", "frame_too_long"} <= reasons:
                    break
                await asyncio.sleep(0.01)
        for _, one in readers:
            one.close()
        writer.close()


async def test_nothing_that_arrives_ends_the_part() -> None:
    source = random.Random(11)
    async with running('{udp: ["127.0.0.1:0"]}') as statsd:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", statsd.udp_ports[0]))
            for _ in range(300):
                sender.send(source.randbytes(source.randrange(0, 1500)))
            sender.send(b"")
            for _ in range(50):
                sender.send(b"alive:1|g")
                await asyncio.sleep(0)
        await wait_shown(statsd, "alive", 1)


@pytest.mark.parametrize("address", ["0.0.0.0:8125", ":8125", "example.org:8125"])
def test_beyond_loopback_only_when_asked_for(address: str) -> None:
    with pytest.raises(SettingsError, match="allow_remote"):
        load(StatsdSettings, f'{{udp: ["{address}"]}}', "test")
    load(StatsdSettings, f'{{udp: ["{address}"], allow_remote: true}}', "test")


async def test_a_mapping_file_of_statsd_exporter_is_read(tmp_path: Path) -> None:
    (tmp_path / "mapping.yml").write_text(
        'mappings:\n- match: "a.*"\n  name: "b"\n  labels: {x: "$1"}\n  help: words\n'
    )
    async with running('{udp: ["127.0.0.1:0"], mapping_file: mapping.yml}', tmp_path) as statsd:
        statsd.aggregation.take(b"a.one:2|c")
        assert shown(statsd) == {"b,x=one": 2}
