"""The listener of packs: datagrams to `pack_server.PackServer`, answers back. A `Part`.

Invariant: whatever arrives, and whatever a datagram makes go wrong, the part goes on with the next; what the kernel dropped is
counted.
"""

from collections import defaultdict

from nunchi.intake.receive.pack_server import PackServer
from nunchi.intake.receive.pack_telemetry import PackTelemetry
from nunchi.kit.clock import Clock
from nunchi.kit.datagram import (
    DATAGRAMS_MAX,
    DatagramBatch,
    DatagramListener,
    format_source,
    open_udp,
    send_datagrams,
)
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.logs import Logger
from nunchi.wire.pack import DATAGRAM_BYTES_MAX

LOOK_SECONDS = 0.1
RECEIVE_BUFFER_BYTES = 16 << 20


class PackReceiver:
    """Packs on one UDP port."""

    name = "receive.pack"

    def __init__(
        self, address: ListenAddress, server: PackServer, clock: Clock, telemetry: PackTelemetry, log: Logger
    ) -> None:
        self._address = address
        self._server = server
        self._clock = clock
        self._telemetry = telemetry
        self._log = log
        self._listener: DatagramListener | None = None
        self._descriptor = -1

    @property
    def port(self) -> int:
        """The port bound."""
        return self._listener.port if self._listener else 0

    async def start(self) -> None:
        """Bind. Raises ListenError."""
        opened = await open_udp(self._address, RECEIVE_BUFFER_BYTES)
        self._descriptor = opened.fileno()
        self._listener = DatagramListener(opened, self._take, DatagramBatch(DATAGRAMS_MAX, DATAGRAM_BYTES_MAX))
        self._listener.start()

    async def run(self) -> None:
        """Answer for rounds that are overdue."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            for source, answer in self._server.look():
                self._send([answer], source)
            if self._listener is not None:
                for reason, count in self._listener.new_losses().items():
                    self._telemetry.refused.add(count, reason)

    async def stop(self) -> None:
        """Close the port."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None

    def _take(self, batch: DatagramBatch) -> None:
        answers: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for datagram, source in batch.datagrams():
            try:
                answers[source] += self._server.receive(datagram, source, format_source(source))
            except Exception as error:
                self._telemetry.refused.add(1, "bug")
                self._log.exception("BUG: a datagram failed", source=format_source(source), error=error)
        for source, found in answers.items():
            if found:
                self._send(found, source)

    def _send(self, answers: list[bytes], source: bytes) -> None:
        try:
            send_datagrams(self._descriptor, answers, source)
        except OSError:
            self._telemetry.refused.add(len(answers), "answer_unsent")
