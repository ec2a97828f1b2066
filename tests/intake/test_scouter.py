"""Scouter packs over a real socket, from who may send them and who may not."""

import asyncio
import socket

import pytest

from nunchi.intake.receive.pack_scouter import ScouterReceiver
from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.logs import logger
from nunchi.wire.scouter_pack import ScouterPack, ScouterType, encode_datagrams
from nunchi.wire.scouter_values import Float32


def receiver(door, clock, telemetry, *sources: str) -> ScouterReceiver:
    return ScouterReceiver(ListenAddress("127.0.0.1", 0), sources, door, clock, telemetry, logger("test"))


def packs(now_ms: int) -> list[ScouterPack]:
    return [
        ScouterPack(
            ScouterType.PERF_COUNTER,
            {"time": now_ms, "objName": "/web-1", "timetype": 1, "data": {"Cpu.User": Float32(12.5), "Mem": 7, "Os": "linux"}},
        ),
        ScouterPack(
            ScouterType.OBJECT,
            {"objType": "linux", "objHash": 1, "objName": "/web-1", "address": "", "version": "", "alive": True, "wakeup": 0,
             "tags": {"long": "x" * 3000}},
        ),
    ]  # fmt: skip


async def test_packs_of_listed_sources_become_series_of_their_own_job(door, clock, telemetry, store) -> None:
    part = receiver(door, clock, telemetry, "127.0.0.0/8")
    await part.start()
    now_ms = clock.now_ms()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in encode_datagrams(packs(now_ms)):
            sender.sendto(datagram, ("127.0.0.1", part.port))
        sender.sendto(b"CAFE\xff", ("127.0.0.1", part.port))
        async with asyncio.timeout(10):
            while telemetry.find("nunchi_scouter_dropped_total").total() < 1:  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(0.005)
    await part.stop()
    assert store.samples("scouter_Cpu_User") == {'scouter_Cpu_User{instance="/web-1", job="scouter"}': [(now_ms, 12.5)]}
    assert list(store.samples("scouter_object_alive").values()) == [[(now_ms, 1.0)]]
    assert store.samples("scouter_Os") == {}


async def test_packs_of_others_are_never_looked_into(door, clock, telemetry, store) -> None:
    part = receiver(door, clock, telemetry, "10.0.0.0/8")
    (first,) = encode_datagrams(packs(clock.now_ms())[:1])
    assert part.read(first, "127.0.0.1") == []
    assert telemetry.find("nunchi_scouter_dropped_total").value("source") == 1
    assert len(part.read(first, "10.1.2.3")) == 2


def test_somebody_must_be_listed(door, clock, telemetry) -> None:
    with pytest.raises(InputError, match=r"--receive\.scouter-source"):
        receiver(door, clock, telemetry)
    with pytest.raises(InputError, match="networks"):
        receiver(door, clock, telemetry, "web-1")
