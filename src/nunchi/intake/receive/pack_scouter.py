"""Scouter packs received: performance counters, metrics and heartbeats become series of job `scouter`. Off unless wired.

Nothing in them proves who sent them, so only listed sources are heard, and their series stand under a job of their own.
Invariant: a datagram from elsewhere is counted and never looked into.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence

import numpy as np

from nunchi.admission.door import Door
from nunchi.kit.clock import Clock
from nunchi.kit.datagram import DatagramBatch, DatagramListener, format_source, open_udp
from nunchi.kit.errors import InputError, WorldError
from nunchi.kit.listen_address import ListenAddress
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.series_group import Layout
from nunchi.wire.errors import WireError
from nunchi.wire.scouter_pack import DATAGRAM_BYTES_MAX, ScouterAssembler, ScouterPack, ScouterType
from nunchi.wire.scouter_values import Float32, Summary, Value

SOURCE = "scouter"
JOB = "scouter"
SERIES_MAX = 100_000
DATAGRAMS_MAX = 64
LOOK_SECONDS = 1.0
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")

Cell = tuple[int, Labels, float]


class ScouterReceiver:
    """A `Part`: one UDP port, `sources` as addresses or networks (`10.0.0.0/8`)."""

    name = "receive.scouter"

    def __init__(
        self,
        address: ListenAddress,
        sources: Sequence[str],
        door: Door,
        clock: Clock,
        telemetry: Telemetry,
        log: Logger,
    ) -> None:
        """Raises InputError where a source is no address, or there is none."""
        if not sources:
            raise InputError(
                "Scouter packs have no passwords: name the addresses that may send them with --receive.scouter-source"
            )
        try:
            self._sources = [ipaddress.ip_network(text, strict=False) for text in sources]
        except ValueError as error:
            raise InputError(
                f"--receive.scouter-source: {error}: write addresses or networks, as in 10.1.2.3 or 10.0.0.0/8"
            ) from error
        self._address = address
        self._door = door
        self._clock = clock
        self._log = log
        self._assembler = ScouterAssembler()
        self._layout = Layout()
        self._columns: dict[Labels, int] = {}
        self._listener: DatagramListener | None = None
        self._packs = telemetry.counter("nunchi_scouter_packs_total", "Scouter packs, by type.", "type")
        self._dropped = telemetry.counter(
            "nunchi_scouter_dropped_total", "Datagrams, packs and samples that were not taken.", "reason"
        )

    @property
    def port(self) -> int:
        """The port bound."""
        return self._listener.port if self._listener else 0

    async def start(self) -> None:
        """Bind. Raises ListenError."""
        opened = await open_udp(self._address, 4 << 20)
        self._listener = DatagramListener(opened, self._take, DatagramBatch(DATAGRAMS_MAX, DATAGRAM_BYTES_MAX))
        self._listener.start()

    async def run(self) -> None:
        """Count what the kernel has lost."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            for reason, count in self._listener.new_losses().items() if self._listener is not None else ():
                self._dropped.add(count, reason)

    async def stop(self) -> None:
        """Close the port."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None

    def _take(self, batch: DatagramBatch) -> None:
        cells: list[Cell] = []
        for datagram, source in batch.datagrams():
            try:
                cells += self.read(datagram, format_source(source))
            except Exception as error:
                self._dropped.add(1, "bug")
                self._log.exception("BUG: a datagram failed", source=format_source(source), error=error)
        self.store(cells)

    def read(self, datagram: bytes, host: str) -> list[Cell]:
        """The samples of the packs that a datagram completes."""
        if not any(ipaddress.ip_address(host) in network for network in self._sources):
            self._dropped.add(1, "source")
            return []
        cells: list[Cell] = []
        try:
            for one in self._assembler.read(datagram, host, self._clock.monotonic()):
                self._packs.add(1, one.type.name.lower())
                cells += samples_of(one, host, self._clock.now_ms())
        except WireError:
            self._dropped.add(1, "damaged")
        dropped, self._assembler.dropped = self._assembler.dropped, {}
        for reason, count in dropped.items():
            self._dropped.add(count, reason)
        return cells

    def store(self, cells: Sequence[Cell]) -> None:
        """Hand samples to the door; of equal moments and series the first counts."""
        rows: dict[int, dict[int, float]] = {}
        for timestamp_ms, labels, value in cells:
            column = self._columns.get(labels)
            if column is None:
                if len(self._columns) >= SERIES_MAX:
                    self._dropped.add(1, "series_max")
                    continue
                column = self._columns[labels] = self._layout.append(labels.key())
            rows.setdefault(timestamp_ms, {}).setdefault(column, value)
        for timestamp_ms, row in sorted(rows.items()):
            columns = np.fromiter(row, np.int32, len(row))
            batch = Batch.row(self._layout, timestamp_ms, columns, np.fromiter(row.values(), np.float64, len(row)))
            try:
                self._door.append(SOURCE, batch)
            except WorldError as error:
                self._dropped.add(len(row), "not_stored")
                self._log.warning("scouter packs not stored", samples=len(row), error=error)


def samples_of(one: ScouterPack, host: str, now_ms: int) -> Iterator[Cell]:
    """Counters and metrics as `scouter_<counter>`, heartbeats as `scouter_object_alive`; other packs carry no samples."""
    fields = one.fields
    instance = str(fields.get("objName") or host)
    if one.type is ScouterType.OBJECT:
        labels = {METRIC_NAME: "scouter_object_alive", "job": JOB, "instance": instance, "type": str(fields["objType"])}
        yield now_ms, Labels(labels), 1.0 if fields["alive"] else 0.0
        return
    data, time = fields.get("data"), fields.get("time")
    if one.type not in {ScouterType.PERF_COUNTER, ScouterType.METRIC} or not isinstance(data, dict):
        return
    timestamp_ms = time if isinstance(time, int) and time > 0 else now_ms
    for counter, value in data.items():
        number = number_of(value)
        if number is not None:
            name = "scouter_" + _NOT_IN_NAMES.sub("_", counter)
            yield timestamp_ms, Labels({METRIC_NAME: name, "job": JOB, "instance": instance}), number


def number_of(value: Value) -> float | None:
    """What of a value is a sample; None where nothing is."""
    match value:
        case bool():
            return float(value)
        case int() | float():
            return float(value)
        case Float32(number):
            return number
        case Summary(total, count, _, _):
            return total / count if count else None
        case _:
            return None
