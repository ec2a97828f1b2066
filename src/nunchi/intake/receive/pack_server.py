"""Datagrams of all agents in, answers out; no sockets here. Sessions begin with three packs: hello, welcome, confirm.

The cookie of a welcome is derived from the server's own random bytes, so that nothing is kept for who only says hello, and a
session recorded before the server's start cannot be played again.
Invariant: before a seal holds nothing is kept and nothing answered; no answer is larger than the datagram it answers.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from nunchi.intake.receive.pack_session import PackSession, Store
from nunchi.intake.receive.pack_telemetry import PackTelemetry
from nunchi.intake.registry.agent_registry import Acknowledgement
from nunchi.intake.registry.errors import NotStoredError
from nunchi.kit.clock import Clock
from nunchi.wire import pack
from nunchi.wire.errors import WireError
from nunchi.wire.pack import Answer, FirstHead, PackHead, PackKind, Welcome
from nunchi.wire.pack_seal import (
    SEAL_BYTES,
    PackMode,
    SealError,
    SessionKeys,
    hello_sealer,
    make_cookie,
    session_keys,
    welcome_sealer,
)
from nunchi.wire.payload import Payload, Sender

SECRET_BYTES = 32
SESSIONS_MAX = 100_000
AGENTS_REMEMBERED_MAX = 200_000
IDLE_SECONDS_MAX = 3600.0
ANSWER_BYTES = pack.HEAD.size + pack.ANSWER_BODY.size + SEAL_BYTES  # the shortest


@dataclass(frozen=True, slots=True)
class PackKey:
    """A key that speaks for an agent, and what the server calls that agent; empty: as it calls itself."""

    key: bytes
    name: str = ""


class PackKeys(Protocol):
    """Who may send."""

    def keys_of(self, agent_id: str) -> Sequence[PackKey]:
        """The keys of an agent: two while it changes from one to the next, none for who is unknown or revoked."""
        ...


class PackServer:
    """All sessions. `modes` are those that are taken."""

    def __init__(
        self,
        keys: PackKeys,
        store: Store,
        clock: Clock,
        random: Random,
        telemetry: PackTelemetry,
        modes: Sequence[PackMode] = tuple(PackMode),
    ) -> None:
        self._keys = keys
        self._store = store
        self._clock = clock
        self._random = random
        self._telemetry = telemetry
        self._modes = frozenset(modes)
        self._secret = random.randbytes(SECRET_BYTES)
        self._sessions: OrderedDict[bytes, tuple[PackSession, PackMode]] = OrderedDict()
        self._by_agent: dict[str, bytes] = {}
        self._started_ms: OrderedDict[str, int] = OrderedDict()
        self._addresses: dict[bytes, tuple[bytes, str]] = {}
        telemetry.sessions.observe_with(lambda: len(self._sessions))

    def receive(self, datagram: bytes, source: bytes, host: str) -> list[bytes]:
        """Take a datagram; what to answer to where it came from."""
        self._telemetry.datagrams.add(1)
        try:
            kind = pack.kind_of(datagram)
            if kind in {PackKind.HELLO, PackKind.CONFIRM}:
                return self._receive_first(datagram, kind, source, host)
            return self._receive_pack(datagram, source, host)
        except SealError:
            self._telemetry.refused.add(1, "seal")
        except WireError:
            self._telemetry.refused.add(1, "damaged")
        return []

    def look(self) -> list[tuple[bytes, bytes]]:
        """(source, answer) for rounds that are overdue; forgets sessions that are silent. To be called a few times a second."""
        now = self._clock.monotonic()
        found: list[tuple[bytes, bytes]] = []
        for session_id, (session, mode) in list(self._sessions.items()):
            if now - session.heard_at > IDLE_SECONDS_MAX:
                self._end(session_id)
                continue
            source, _ = self._addresses[session_id]
            answers = session.overdue()
            found += [(source, self._seal(session, mode, answer, pack.HELLO_BYTES_MIN)) for answer in answers]
            self._telemetry.tell_window(session_id, session.sender.agent_id, session.window)
        return found

    # Beginnings.

    def _receive_first(self, datagram: bytes, kind: PackKind, source: bytes, host: str) -> list[bytes]:
        head, head_bytes, sealed = pack.split_first(datagram)
        if head.mode not in self._modes:
            self._telemetry.refused.add(1, "mode")
            return []
        known = self._keys.keys_of(head.agent_id)
        if not known:
            self._telemetry.refused.add(1, "agent_unknown")
            return []
        for key in known:
            try:
                if kind is PackKind.HELLO:
                    body = hello_sealer(key.key, head.salt, head.mode).open(pack.NO_NONCE, sealed, head_bytes)
                    return [self._welcome(head, key.key, body)] if len(datagram) >= pack.HELLO_BYTES_MIN else []
                cookie = make_cookie(self._secret, head.agent_id, head.salt)
                keys = session_keys(key.key, head.salt, cookie, head.mode)
                body = keys.to_server.open(pack.NO_NONCE, sealed, head_bytes)
            except SealError:
                continue
            if keys.id not in self._sessions and not self._begin(head, pack.decode_confirm(body), keys, key):
                return []
            session, mode = self._sessions[keys.id]
            self._addresses[keys.id] = source, host
            return [self._seal(session, mode, Answer(0, 0, 0, 0, 0, 0, 0, self._clock.now_ms()), len(datagram))]
        raise SealError("pack: no key of this agent fits")

    def _welcome(self, head: FirstHead, key: bytes, body: bytes) -> bytes:
        received_ms = self._clock.now_ms()
        (sent_ms,) = pack.Source(body).unpack(pack.HELLO_BODY)
        cookie = make_cookie(self._secret, head.agent_id, head.salt)
        answer_head = FirstHead(head.mode, PackKind.WELCOME, head.salt, "").encode()
        nonce = self._random.randbytes(pack.NONCE_BYTES)
        welcome = pack.encode_welcome(Welcome(cookie, sent_ms, received_ms, self._clock.now_ms()))
        sealed = welcome_sealer(key, head.salt, head.mode).seal(nonce, welcome, answer_head)
        return answer_head + nonce + sealed

    def _begin(self, head: FirstHead, confirm: pack.Confirm, keys: SessionKeys, key: PackKey) -> bool:
        """A session, unless the agent has begun a later one: what is played again comes too late."""
        if confirm.started_ms <= self._started_ms.get(head.agent_id, -1):
            self._telemetry.refused.add(1, "replayed")
            return False
        self._started_ms[head.agent_id] = confirm.started_ms
        self._started_ms.move_to_end(head.agent_id)
        while len(self._started_ms) > AGENTS_REMEMBERED_MAX:
            self._started_ms.popitem(last=False)
        before = self._by_agent.get(head.agent_id)
        if before is not None:
            self._end(before)
        while len(self._sessions) >= SESSIONS_MAX:
            self._end(next(iter(self._sessions)))
        sender = Sender(head.agent_id, key.name or confirm.name, confirm.version, confirm.epoch)

        def store(payload: Payload, host: str) -> Acknowledgement:
            if key not in self._keys.keys_of(head.agent_id):
                raise NotStoredError("the key of this session opens nothing any more")
            return self._store(payload, host)

        session = PackSession(sender, confirm.interval_ms, keys, store, self._clock, self._telemetry)
        session.window.take(0)  # the confirm itself
        self._sessions[keys.id] = session, head.mode
        self._by_agent[head.agent_id] = keys.id
        return True

    def _end(self, session_id: bytes) -> None:
        session, _ = self._sessions.pop(session_id)
        session.window.close_below(session.window.expected)
        self._telemetry.tell_window(session_id, session.sender.agent_id, session.window)
        self._telemetry.forget(session_id)
        self._addresses.pop(session_id, None)
        if self._by_agent.get(session.sender.agent_id) == session_id:
            del self._by_agent[session.sender.agent_id]

    # Packs of sessions.

    def _receive_pack(self, datagram: bytes, source: bytes, host: str) -> list[bytes]:
        head, head_bytes, sealed = pack.split(datagram)
        found = self._sessions.get(head.session)
        if found is None or found[1] is not head.mode:
            self._telemetry.refused.add(1, "session_unknown")
            return []
        session, mode = found
        body = session.keys.to_server.open(pack.nonce_of(head.sequence), sealed, head_bytes)
        session.heard_at = self._clock.monotonic()
        if not session.window.take(head.sequence):
            return []
        self._sessions.move_to_end(head.session)
        self._addresses[head.session] = source, host
        answers = self._take(session, head, body, host)
        if len(datagram) < ANSWER_BYTES:
            return []
        return [self._seal(session, mode, answer, len(datagram)) for answer in answers]

    @staticmethod
    def _take(session: PackSession, head: PackHead, body: bytes, host: str) -> list[Answer]:
        if head.kind in {PackKind.DATA, PackKind.HISTOGRAMS}:
            return session.take_data(pack.decode_data(body), host, of_parts=head.kind is PackKind.HISTOGRAMS)
        if head.kind in {PackKind.DICTIONARY, PackKind.PARTS}:
            return session.take_dictionary(pack.decode_dictionary(body), host, of_parts=head.kind is PackKind.PARTS)
        if head.kind is PackKind.STATS:
            return session.take_stats(pack.decode_stats(body), host)
        raise WireError(f"pack: a server takes no {head.kind.name}")

    @staticmethod
    def _seal(session: PackSession, mode: PackMode, answer: Answer, bytes_max: int) -> bytes:
        keys = session.keys
        head = PackHead(mode, PackKind.ANSWER, keys.id, session.next_sequence)
        session.next_sequence += 1
        head_bytes = head.encode()
        body = pack.encode_answer(answer, bytes_max - len(head_bytes) - SEAL_BYTES)
        return head_bytes + keys.to_agent.seal(pack.nonce_of(head.sequence), body, head_bytes)
