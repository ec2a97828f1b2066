"""Events and service checks of agents as records: events one after the other, of each service check its last word.

Invariant: a body's content and the mark that it was taken are one transaction, so that what an agent sends again after a lost
answer, or a kill of either side, is kept once.
"""

import hashlib
from collections.abc import Callable

import msgspec

from nunchi.kit.clock import Clock
from nunchi.kit.errors import InputError
from nunchi.storage.records import EVENTS_MAX, Records
from nunchi.wire.happenings import (
    HAPPENINGS_MAX,
    STATES,
    TAGS_MAX,
    TEXT_CHARACTERS_MAX,
    EventReport,
    Happenings,
    ServiceCheckReport,
    Tags,
)

EVENT_KIND, CHECK_KIND, MARK_KIND = "statsd_event", "service_check", "happenings_mark"
SERVICE_CHECKS_MAX = 10_000
SERVICE_CHECK_SECONDS = 24 * 3600.0  # one that says nothing for so long is forgotten
FORGET_EVERY_SECONDS = 600.0
NAME_CHARACTERS_MAX = 1024
EPOCHS_MAX = 8


class HappeningsError(InputError):
    """A body that is no list of events and service checks; says what is wrong."""


class Mark(msgspec.Struct, frozen=True):
    """What was taken of an agent: of each of its last epochs, oldest first, everything below a number."""

    taken: dict[int, int] = {}


class KeptEvent(msgspec.Struct, frozen=True):
    """An event and who told it."""

    agent: str
    instance: str
    event: EventReport


class KeptServiceCheck(msgspec.Struct, frozen=True):
    """The last word on a service; `since_ms` is when it came to be so, `heard_ms` when it was heard last."""

    agent: str
    instance: str
    check: ServiceCheckReport
    since_ms: int
    heard_ms: int


class HappeningBook:
    """Events and service checks of all agents. Open before use."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._marks: dict[str, Mark] = {}
        self._checks: dict[str, KeptServiceCheck] = {}
        self._forget_due_at = 0.0

    def open(self) -> None:
        """Read what was kept. Raises RecordsError."""
        self._marks = {agent: msgspec.json.decode(body, type=Mark) for agent, body in self._records.entities(MARK_KIND)}
        self._checks = {
            key: msgspec.json.decode(body, type=KeptServiceCheck) for key, body in self._records.entities(CHECK_KIND)
        }

    def take(self, body: Happenings) -> int:
        """Keep what is new of a body; how many were known. Raises HappeningsError or RecordsError, and then nothing is."""
        check_happenings(body)
        self._forget_silent()
        taken = self._marks.get(body.agent, Mark()).taken
        known = min(len(body), max(0, taken.get(body.epoch, 0) - body.first))
        events = body.events[known:]
        checks = body.service_checks[max(0, known - len(body.events)) :]
        if known == len(body):
            return known
        after = {**taken, body.epoch: body.first + len(body)}
        mark = Mark({epoch: after[epoch] for epoch in sorted(after)[-EPOCHS_MAX:]})
        changed: dict[str, KeptServiceCheck] = {}
        with self._records.transaction():
            for event in events:
                kept = KeptEvent(body.agent, body.name, event)
                self._records.note(EVENT_KIND, body.agent, msgspec.json.encode(kept))
            for check in checks:
                key = key_of(body.agent, check)
                if key not in self._checks and len(self._checks) + len(changed) >= SERVICE_CHECKS_MAX:
                    continue
                changed[key] = self._kept(body, check, changed.get(key) or self._checks.get(key))
                self._records.put(CHECK_KIND, key, msgspec.json.encode(changed[key]))
            self._records.put(MARK_KIND, body.agent, msgspec.json.encode(mark))
        self._checks.update(changed)
        self._marks[body.agent] = mark
        return known

    def _kept(self, body: Happenings, check: ServiceCheckReport, before: KeptServiceCheck | None) -> KeptServiceCheck:
        since_ms = before.since_ms if before is not None and before.check.state == check.state else check.at_ms
        return KeptServiceCheck(body.agent, body.name, check, since_ms, self._clock.now_ms())

    def events(self, is_wanted: Callable[[KeptEvent], bool], limit: int) -> list[KeptEvent]:
        """The newest that are wanted, by their own time, newest first."""
        kept = [
            msgspec.json.decode(one.body, type=KeptEvent) for one in self._records.events(EVENT_KIND, limit=EVENTS_MAX)
        ]
        return sorted(filter(is_wanted, kept), key=lambda one: -one.event.at_ms)[:limit]

    def service_checks(self) -> list[KeptServiceCheck]:
        """All that spoke within a day: the worst first, then by name."""
        self._forget_silent()
        order = (2, 1, 3, 0)  # critical, warning, unknown, ok
        return sorted(
            self._checks.values(),
            key=lambda one: (order.index(one.check.state), one.check.name, one.instance, one.check.tags),
        )

    def _forget_silent(self) -> None:
        now = self._clock.monotonic()
        if now < self._forget_due_at:
            return
        self._forget_due_at = now + FORGET_EVERY_SECONDS
        oldest_ms = self._clock.now_ms() - round(1000 * SERVICE_CHECK_SECONDS)
        self._records.remove_unchanged_since(CHECK_KIND, oldest_ms)
        self._checks = {key: one for key, one in self._checks.items() if one.heard_ms >= oldest_ms}


def key_of(agent: str, check: ServiceCheckReport) -> str:
    """What a service check of an agent is known by: name, host and tags."""
    said = msgspec.json.encode((check.name, check.host, sorted(check.tags)))
    return f"{agent}/{hashlib.blake2b(said, digest_size=16).hexdigest()}"


def check_happenings(body: Happenings) -> None:
    """Raises HappeningsError."""
    if len(body) > HAPPENINGS_MAX:
        raise HappeningsError(f"{len(body)} events and service checks are too many: send {HAPPENINGS_MAX} at a time")
    if body.first < 0 or body.epoch < 0:
        raise HappeningsError("numbers and epochs cannot be negative")
    for event in body.events:
        _check_texts(event.title, event.text, event.tags)
    for check in body.service_checks:
        _check_texts(check.name, check.message, check.tags)
        if not 0 <= check.state < len(STATES):
            raise HappeningsError(f"the state {check.state} of {check.name!r} is not known: 0 to {len(STATES) - 1} are")


def _check_texts(title: str, text: str, tags: Tags) -> None:
    if not title or len(title) > NAME_CHARACTERS_MAX or len(text) > TEXT_CHARACTERS_MAX or len(tags) > TAGS_MAX:
        raise HappeningsError(f"an event or service check has no name, or is too long: {title[:60]!r}")
