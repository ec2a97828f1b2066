"""The listener of packs over a real socket: one datagram that fails costs no other."""

import asyncio
import socket

from nunchi.intake.receive.pack import PackReceiver
from nunchi.intake.receive.pack_telemetry import PackTelemetry
from nunchi.kit.clock import SystemClock
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.pack import DATAGRAM_BYTES_MAX


class FailingServer:
    """Answers what it gets, and fails over some of it."""

    def receive(self, datagram: bytes, source: bytes, host: str) -> list[bytes]:
        if datagram.startswith(b"bad"):
            raise ZeroDivisionError("a bug")
        return [datagram]

    def look(self) -> list[tuple[bytes, bytes]]:
        return []


async def test_a_datagram_that_fails_costs_no_other_and_what_is_cut_is_counted() -> None:
    clock, telemetry = SystemClock(), PackTelemetry(Telemetry())
    receiver = PackReceiver(ListenAddress("127.0.0.1", 0), FailingServer(), clock, telemetry, logger("test"))
    await receiver.start()
    task = asyncio.create_task(receiver.run())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect(("127.0.0.1", receiver.port))
        for number in range(6):
            sender.send(b"bad" if number % 2 else b"good%d" % number)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            answers = {await loop.sock_recv(sender, 100) for _ in range(3)}
            sender.send(bytes(DATAGRAM_BYTES_MAX + 1))
            while telemetry.refused.value("cut") == 0:  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(0.02)
    assert answers == {b"good0", b"good2", b"good4"}
    assert telemetry.refused.value("bug") == 3
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await receiver.stop()
