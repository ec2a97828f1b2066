"""Rounds as Scouter packs over UDP: one heartbeat of the host, and its numbers as performance counters.

Nobody answers, so nothing is kept: what cannot be sent now is dropped and counted. Invariant: every pack fits in a datagram of
its own, so that a lost one costs its counters and no others.
"""

import asyncio
import zlib
from collections.abc import Iterator, Mapping, Sequence

from nunchi.agent.identity import Identity
from nunchi.agent.schedule import Outcome, RoundSink
from nunchi.agent.scouter_settings import ScouterSettings
from nunchi.agent.udp_sender import Wire
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.errors import WireError
from nunchi.wire.scouter_pack import ScouterPack, ScouterType, encode_datagrams
from nunchi.wire.scouter_values import Value

ROUNDS_WAITING_MAX = 2
REALTIME = 1  # a counter of this moment, in Scouter's words
HEAD_BYTES = 32  # of a datagram and its pack, without the object's name
COUNTER_BYTES = 16  # of a counter, without its name


class ScouterSender:
    """A `Part` and a `RoundSink`: a round goes to the next sink first, then as packs."""

    name = "agent.scouter"

    def __init__(
        self, settings: ScouterSettings, wire: Wire, following: RoundSink | None, identity: Identity,
        tags: Mapping[str, str], telemetry: Telemetry, log: Logger,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._wire = wire
        self._following = following
        self._identity = identity
        self._tags = dict(tags)
        self._log = log
        self._object_name = f"/{identity.name}"
        self._waiting: asyncio.Queue[list[bytes]] = asyncio.Queue(ROUNDS_WAITING_MAX)
        self._is_failing = False
        self._sent = telemetry.counter("agent_scouter_datagrams_total", "Datagrams of Scouter packs sent.")
        self._dropped = telemetry.counter(
            "agent_scouter_dropped_total",
            "Datagrams of Scouter packs, or counters in them, that were not sent.",
            "reason",
        )
        wire.listen(lambda _: None)

    def put(self, timestamp_ms: int, outcomes: Sequence[Outcome]) -> None:
        """See `RoundSink.put`."""
        if self._following is not None:
            self._following.put(timestamp_ms, outcomes)
        datagrams = self.encode(timestamp_ms, outcomes)
        try:
            self._waiting.put_nowait(datagrams)
        except asyncio.QueueFull:
            self._dropped.add(len(datagrams), "queue_full")

    def encode(self, timestamp_ms: int, outcomes: Sequence[Outcome]) -> list[bytes]:
        """A round as datagrams."""
        identity = self._identity
        heartbeat: dict[str, Value] = {
            "objType": self._settings.object_type, "objHash": object_hash(self._object_name), "objName": self._object_name,
            "address": next(iter(identity.addresses), ""), "version": identity.version, "alive": True,
            "wakeup": identity.started_at_ms, "tags": dict(self._tags),
        }  # fmt: skip
        packs = [ScouterPack(ScouterType.OBJECT, heartbeat)]
        for counters in self._counters(outcomes):
            fields: dict[str, Value] = {
                "time": timestamp_ms, "objName": self._object_name, "timetype": REALTIME, "data": counters
            }  # fmt: skip
            packs.append(ScouterPack(ScouterType.PERF_COUNTER, fields))
        try:
            return list(encode_datagrams(packs, self._settings.datagram_bytes))
        except WireError as error:
            self._log.warning("a round cannot be written as a Scouter pack", reason=error)
            self._dropped.add(len(packs), "not_encoded")
            return []

    def _counters(self, outcomes: Sequence[Outcome]) -> Iterator[dict[str, Value]]:
        """The numbers of a round, as many together as a datagram holds."""
        room = self._settings.datagram_bytes - HEAD_BYTES - len(self._object_name.encode())
        found: dict[str, Value] = {}
        size = 0
        for outcome in outcomes:
            for name, labels, value in outcome.emission.samples:
                counter = counter_name(name, labels)
                own = COUNTER_BYTES + len(counter.encode(errors="replace"))
                if own > room:
                    self._dropped.add(1, "name_too_long")
                    continue
                if size + own > room:
                    yield found
                    found, size = {}, 0
                found[counter] = value
                size += own
        if found:
            yield found

    async def start(self) -> None:
        """Nothing to take: the socket is opened with the first round."""

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            datagrams = await self._waiting.get()
            try:
                await self._wire.send(datagrams)
            except OSError as error:
                self._dropped.add(len(datagrams), "unsent")
                if not self._is_failing:
                    self._log.warning("scouter packs cannot be sent", reason=error.strerror or error)
                self._is_failing = True
            else:
                self._sent.add(len(datagrams))
                self._is_failing = False

    async def stop(self) -> None:
        """Send no more."""
        self._wire.close()


def object_hash(name: str) -> int:
    """What Scouter knows an object by: the CRC-32 of its name, as a number with a sign."""
    number = zlib.crc32(name.encode())
    return number - (1 << 32) if number >> 31 else number


def counter_name(name: str, labels: Sequence[tuple[str, str]]) -> str:
    """A series as one word, `name{a=b,c=d}`: Scouter's counters have no labels."""
    return f"{name}{{{','.join(f'{key}={value}' for key, value in labels)}}}" if labels else name
