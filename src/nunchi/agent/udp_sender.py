"""Sends rounds as packs over UDP and waits for the server's word; what gets none goes by HTTP, as if packs were not there.

Samples have the same numbers on both ways, so that a round which arrives twice is stored once.
Invariant: one round is under way at a time; nothing here ends a payload but an answer that says it is stored.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Protocol

from nunchi.agent.forwarder.delivery import Push
from nunchi.agent.forwarder.encoding import PushEncoder
from nunchi.agent.forwarder.spool import Shipment
from nunchi.agent.forwarder.verdict import Fate, Verdict
from nunchi.agent.identity import Identity
from nunchi.agent.udp_session import SentRound, UdpSession
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.wire import pack
from nunchi.wire.errors import WireError
from nunchi.wire.pack import Answer, Answered, Confirm, FirstHead, PackKind
from nunchi.wire.pack_seal import SALT_BYTES, SEAL_BYTES, PackMode, hello_sealer, session_keys, welcome_sealer
from nunchi.wire.payload_encoder import Round
from nunchi.wire.payload_rounds import WrittenPayload

ATTEMPTS_MAX = 3
ROUNDS_MAX = 16  # of one payload
TIMEOUTS_MAX = 2  # rounds without an answer, one after the other, until a new session is tried
QUIET_SECONDS = 30.0  # after a session could not be had
CONFIRMED = 0  # the answer to a confirm speaks of no round
AGAIN = Answered.SERIES_UNKNOWN | Answered.BASE_UNKNOWN


class Wire(Protocol):
    """Where datagrams go. `listen` says who takes those that come back."""

    def listen(self, take: Callable[[bytes], None]) -> None:
        """From now on."""
        ...

    async def send(self, datagrams: list[bytes]) -> None:
        """Send as many as the kernel takes. Raises OSError."""
        ...

    def close(self) -> None:
        """Send no more."""
        ...


class UdpTelemetry:
    """What is counted of packs, over all senders that settings make one after the other."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.packs = telemetry.counter("agent_packs_sent_total", "Packs sent.")
        self.bytes = telemetry.counter(
            "agent_pack_bytes_total", "Bytes of packs sent, without the heads of UDP and IP."
        )
        self.rounds = telemetry.counter(
            "agent_pack_rounds_total", "Rounds, by what became of them as packs.", "outcome"
        )
        self.offset = telemetry.gauge("agent_clock_offset_seconds", "How far the server's clock is ahead of ours.")


class UdpSender:
    """One agent's packs to one server."""

    def __init__(
        self, wire: Wire, key: Callable[[], bytes], mode: PackMode, datagram_bytes: int, timeout_seconds: float,
        identity: Identity, clock: Clock, random: Random, telemetry: UdpTelemetry, log: Logger,
    ) -> None:  # fmt: skip
        self._wire = wire
        self._key = key
        self._mode = mode
        self._datagram_bytes = datagram_bytes
        self._timeout_seconds = timeout_seconds
        self._identity = identity
        self._clock = clock
        self._random = random
        self._log = log
        self._session: UdpSession | None = None
        self._started_ms = 0
        self._salt = b""
        self._waiting: asyncio.Future[None] | None = None
        self._arrived: list[bytes] = []
        self._timeouts = 0
        self._quiet_until = 0.0
        self._telemetry = telemetry
        wire.listen(self._take)

    async def push(self, payload: WrittenPayload) -> Verdict | None:
        """Send the rounds of a payload, one after the other; None where it has to go the other way, whole."""
        if not self._can_send(payload) or self._clock.monotonic() < self._quiet_until:
            self._telemetry.rounds.add(1, "not_tried")
            return None
        try:
            session = self._session or await self._connect(payload.interval_ms)
            if session is None:
                return None
            if any(one.histograms for one in payload.rounds) and not session.takes_histograms:
                self._telemetry.rounds.add(1, "not_tried")
                return None
            return await self._push_rounds(session, payload)
        except OSError as error:
            self._give_up(f"{error.strerror or error}")
        except WireError as error:
            self._telemetry.rounds.add(1, "not_tried")
            self._log.debug("a round does not fit into packs", reason=error)
        return None

    def close(self) -> None:
        """Send no more."""
        self._wire.close()

    def _can_send(self, payload: WrittenPayload) -> bool:
        """Packs are for what is of this start, a few rounds at a time: a backlog is smaller in payloads."""
        is_small = len(payload.rounds) <= ROUNDS_MAX and payload.samples <= pack.CELLS_MAX
        is_plain = all(map(is_of_one_kind, payload.rounds))
        return is_small and is_plain and payload.sender.epoch == self._identity.epoch

    async def _push_rounds(self, session: UdpSession, payload: WrittenPayload) -> Verdict | None:
        """What became of all rounds together; None as soon as one is not acknowledged."""
        verdict, first_sequence = Verdict(Fate.ACCEPTED), payload.first_sequence
        for number, one in enumerate(payload.rounds):
            metadata = {} if number else payload.metadata
            sent = session.begin_round(one, first_sequence, metadata)
            found = await self._push_round(session, sent, payload.interval_ms)
            self._telemetry.rounds.add(1, "unacknowledged" if found is None else "acknowledged")
            if found is None:
                return None
            verdict = join_verdicts(verdict, found)
            first_sequence += len(one.values)
        return verdict

    async def _push_round(self, session: UdpSession, sent: SentRound, interval_ms: int) -> Verdict | None:
        is_unknown = False
        for _ in range(ATTEMPTS_MAX):
            await self._send(session.datagrams(sent, interval_ms, self._clock.now_ms()))
            answer = await self._wait_answer(session, sent.number)
            if answer is None:
                self._timeouts += 1
                if self._timeouts >= TIMEOUTS_MAX:
                    self._session = None  # perhaps the server was restarted and knows this session no more
                break
            self._timeouts = 0
            session.take_answer(answer, sent)
            is_unknown |= bool(answer.answered & Answered.SERIES_UNKNOWN)
            if answer.answered == Answered.STORED:
                return Verdict(Fate.ACCEPTED, duplicate=answer.duplicate, rejected=answer.rejected)
            if not answer.answered & AGAIN:
                break
        if is_unknown:
            session.forget_dictionary(sent)
        session.rounds_unsent += 1
        return None

    async def _send(self, datagrams: list[bytes]) -> None:
        self._telemetry.packs.add(len(datagrams))
        self._telemetry.bytes.add(sum(map(len, datagrams)))
        await self._wire.send(datagrams)

    # Answers.

    def _take(self, datagram: bytes) -> None:
        if len(self._arrived) < pack.DATAGRAM_BYTES:  # far more than a server answers while a round is under way
            self._arrived.append(datagram)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _wait(self, until: float) -> list[bytes]:
        """What has come; nothing where nothing came until then."""
        if not self._arrived:
            self._waiting = asyncio.get_running_loop().create_future()
            timer = asyncio.ensure_future(self._clock.sleep(until - self._clock.monotonic()))
            await asyncio.wait({self._waiting, timer}, return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
            self._waiting = None
        arrived, self._arrived = self._arrived, []
        return arrived

    async def _wait_answer(self, session: UdpSession, number: int) -> Answer | None:
        """The last word on a round within the timeout; datagrams that are none are passed over."""
        until = self._clock.monotonic() + self._timeout_seconds
        while self._clock.monotonic() < until:
            for datagram in await self._wait(until):
                try:
                    answer = session.open_answer(datagram)
                except WireError:
                    continue
                if answer.round == number:
                    return answer
        return None

    # Beginning a session.

    async def _connect(self, interval_ms: int) -> UdpSession | None:
        """Hello, welcome, confirm and its answer; each is tried a few times."""
        try:
            key = self._key()
            session = await self._shake_hands(key, interval_ms) if key else None
        except WireError as error:
            session = None
            self._log.warning("packs cannot be sent", reason=error)
        if session is None:
            self._give_up("the server does not answer packs")
        else:
            self._log.info("rounds go as packs")
        self._session, self._timeouts = session, 0
        return session

    async def _shake_hands(self, key: bytes, interval_ms: int) -> UdpSession | None:
        for _ in range(ATTEMPTS_MAX):
            self._salt = self._random.randbytes(SALT_BYTES)
            await self._send([self._hello(key)])
            welcome = await self._wait_welcome(key)
            if welcome is None:
                continue
            keys = session_keys(key, self._salt, welcome.cookie, self._mode)
            takes_histograms = welcome.version >= pack.VERSION_HISTOGRAMS
            session = UdpSession(keys, self._mode, self._datagram_bytes, takes_histograms=takes_histograms)
            self._started_ms = max(self._started_ms + 1, self._clock.now_ms())
            identity = self._identity
            confirm = Confirm(identity.epoch, self._started_ms, interval_ms, identity.name, identity.version)
            head = FirstHead(self._mode, PackKind.CONFIRM, self._salt, identity.id).encode()
            sealed = keys.to_server.seal(pack.NO_NONCE, pack.encode_confirm(confirm), head)
            await self._send([head + sealed])
            if await self._wait_answer(session, CONFIRMED) is not None:
                return session
        return None

    def _hello(self, key: bytes) -> bytes:
        head = FirstHead(self._mode, PackKind.HELLO, self._salt, self._identity.id).encode()
        body = pack.HELLO_BODY.pack(self._clock.now_ms())
        missing = pack.HELLO_BYTES_MIN - len(head) - len(body) - SEAL_BYTES
        return head + hello_sealer(key, self._salt, self._mode).seal(pack.NO_NONCE, body + bytes(max(0, missing)), head)

    async def _wait_welcome(self, key: bytes) -> pack.Welcome | None:
        until = self._clock.monotonic() + self._timeout_seconds
        while self._clock.monotonic() < until:
            for datagram in await self._wait(until):
                try:
                    head, head_bytes, sealed = pack.split_first(datagram)
                    if head.kind is not PackKind.WELCOME or head.salt != self._salt or head.mode is not self._mode:
                        continue
                    nonce, body = sealed[: pack.NONCE_BYTES], sealed[pack.NONCE_BYTES :]
                    sealer = welcome_sealer(key, self._salt, self._mode)
                    welcome = pack.decode_welcome(sealer.open(nonce, body, head_bytes))
                except WireError:
                    continue
                now_ms = self._clock.now_ms()
                there_ms, back_ms = welcome.received_ms - welcome.sent_ms, welcome.answered_ms - now_ms
                self._telemetry.offset.set((there_ms + back_ms) / 2000)
                return welcome
        return None

    def _give_up(self, reason: str) -> None:
        self._session = None
        self._telemetry.rounds.add(1, "no_session")
        if self._clock.monotonic() >= self._quiet_until:
            self._log.info("rounds go by HTTP for a while", reason=reason, seconds=QUIET_SECONDS)
        self._quiet_until = self._clock.monotonic() + QUIET_SECONDS


class PackWay:
    """A `FastWay`: packs first, numbers and histograms apart; the carrier for what was not acknowledged."""

    def __init__(self, sender: UdpSender, encoder: PushEncoder) -> None:
        self._sender = sender
        self._encoder = encoder

    async def push(self, shipment: Shipment, push_by_carrier: Push) -> Verdict:
        """See `FastWay.push`."""
        try:
            payload = self._encoder.read(shipment.body)
        except WireError:
            return await push_by_carrier(shipment)
        numbers, histograms = self._encoder.split_histograms(payload)
        if histograms is None or not numbers.samples:
            return await self._sender.push(payload) or await push_by_carrier(shipment)
        verdict = await self._sender.push(numbers)
        if verdict is None:
            return await push_by_carrier(shipment)
        other = await self._sender.push(replace(histograms, metadata={}))
        if other is None:
            body = self._encoder.encode_written(histograms)
            other = await push_by_carrier(replace(shipment, body=body, samples=histograms.samples))
        return join_verdicts(verdict, other)

    def close(self) -> None:
        """See `FastWay.close`."""
        self._sender.close()


def is_of_one_kind(one: Round) -> bool:
    """Whether a round is of numbers alone, or of histograms alone that list no bounds."""
    if not one.histograms:
        return bool(len(one.values))
    return not one.numbers and not any(histogram.has_custom_buckets for histogram in one.histograms)


def join_verdicts(first: Verdict, second: Verdict) -> Verdict:
    """Of a payload of which one part was accepted: what became of the other decides."""
    rejected = Counter(first.rejected)
    rejected.update(second.rejected)
    return replace(second, duplicate=first.duplicate + second.duplicate, rejected=dict(rejected))
