"""Silences: what a person muted, from when until when, and why.

Invariant: a silence is never changed behind a reader's back; an edit makes a new value, and one that would change what it
matches makes a new silence and ends the old one.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from random import Random

from nunchi.kit.clock import Clock
from nunchi.kit.errors import InputError
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, all_match
from nunchi.notify.matchers import format_matchers

SILENCES_MAX = 10_000
RETENTION_MS = 120 * 3_600_000


class SilenceError(InputError):
    """A silence that cannot be set."""


class UnknownSilenceError(SilenceError):
    """No silence has this id."""


class SilenceState(Enum):
    """Computed from the clock."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Silence:
    """Mutes alerts that all matchers match, from start (included) to end (excluded); times in ms since the epoch."""

    matchers: tuple[Matcher, ...]
    starts_at_ms: int
    ends_at_ms: int
    created_by: str
    comment: str
    id: str = ""
    updated_at_ms: int = 0
    annotations: Labels = field(default_factory=Labels)

    def state(self, now_ms: int) -> SilenceState:
        """Where it is in its life."""
        if now_ms < self.starts_at_ms:
            return SilenceState.PENDING
        return SilenceState.ACTIVE if now_ms < self.ends_at_ms else SilenceState.EXPIRED


class Silences:
    """All silences, in memory; `load` and `all` are what a snapshot needs, `on_change` is called when one should be made."""

    def __init__(
        self, clock: Clock, random: Random, silences_max: int = SILENCES_MAX, retention_ms: int = RETENTION_MS
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._clock = clock
        self._random = random
        self._silences_max = silences_max
        self._retention_ms = retention_ms
        self._silences: dict[str, Silence] = {}

    def set(self, silence: Silence) -> str:
        """Add a silence, or change the one with its id; returns the id, which is a new one where matchers changed."""
        now_ms = self._clock.now_ms()
        _check(silence, now_ms)
        known = self._silences.get(silence.id) if silence.id else None
        if silence.id and known is None:
            raise UnknownSilenceError(f"no silence has the id {silence.id}")
        if known is not None and _is_update(known, silence, now_ms):
            self._silences[known.id] = replace(silence, updated_at_ms=now_ms)
            self.on_change()
            return known.id
        if len(self._silences) >= self._silences_max:
            raise SilenceError(f"there are {self._silences_max} silences already: let some expire")
        if known is not None and known.state(now_ms) is not SilenceState.EXPIRED:
            self.end(known.id)
        identity = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        starts_at_ms = max(silence.starts_at_ms, now_ms)
        self._silences[identity] = replace(silence, id=identity, starts_at_ms=starts_at_ms, updated_at_ms=now_ms)
        self.on_change()
        return identity

    def end(self, identity: str) -> None:
        """Let a silence expire now; ending one that is over changes nothing."""
        now_ms = self._clock.now_ms()
        silence = self.lookup(identity)
        state = silence.state(now_ms)
        if state is SilenceState.PENDING:
            silence = replace(silence, starts_at_ms=now_ms)
        if state is not SilenceState.EXPIRED:
            self._silences[identity] = replace(silence, ends_at_ms=now_ms, updated_at_ms=now_ms)
            self.on_change()

    def lookup(self, identity: str) -> Silence:
        """The silence of an id; raises `UnknownSilenceError`."""
        if identity not in self._silences:
            raise UnknownSilenceError(f"no silence has the id {identity}")
        return self._silences[identity]

    def all(self) -> list[Silence]:
        """Every silence that is kept."""
        return list(self._silences.values())

    def load(self, silences: Iterable[Silence]) -> None:
        """Take silences as they were; of two with one id the one updated last counts."""
        for silence in silences:
            known = self._silences.get(silence.id)
            if known is None or known.updated_at_ms < silence.updated_at_ms:
                self._silences[silence.id] = silence

    def muting(self, labels: Labels, now_ms: int) -> list[Silence]:
        """The active silences that match."""
        return [
            silence
            for silence in self._silences.values()
            if silence.starts_at_ms <= now_ms < silence.ends_at_ms and all_match(silence.matchers, labels)
        ]

    def count(self, state: SilenceState) -> int:
        """How many are in a state now."""
        now_ms = self._clock.now_ms()
        return sum(silence.state(now_ms) is state for silence in self._silences.values())

    def expire(self) -> None:
        """Forget silences that ended longer ago than they are kept."""
        limit_ms = self._clock.now_ms() - self._retention_ms
        for identity in [key for key, silence in self._silences.items() if silence.ends_at_ms < limit_ms]:
            del self._silences[identity]


def _check(silence: Silence, now_ms: int) -> None:
    if not silence.matchers:
        raise SilenceError("a silence needs at least one matcher")
    if all(matcher.matches_empty() for matcher in silence.matchers):
        raise SilenceError("at least one matcher must not match the empty string, or everything is silenced")
    if silence.ends_at_ms < silence.starts_at_ms:
        raise SilenceError("the silence ends before it starts")
    if silence.ends_at_ms < now_ms:
        raise SilenceError("the silence ends in the past")
    for name in ("created_by", "comment"):
        if not getattr(silence, name):
            raise SilenceError(f"{name} is missing: say who silences, and why")


def _is_update(known: Silence, wanted: Silence, now_ms: int) -> bool:
    """Whether the change may happen in place."""
    if format_matchers(list(known.matchers)) != format_matchers(list(wanted.matchers)):
        return False
    state = known.state(now_ms)
    if state is SilenceState.ACTIVE:
        return known.starts_at_ms // 1000 == wanted.starts_at_ms // 1000 and wanted.ends_at_ms >= now_ms
    return state is SilenceState.PENDING and wanted.starts_at_ms >= now_ms
