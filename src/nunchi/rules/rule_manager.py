"""All rule groups of a server: which exist, when each is evaluated, what becomes of them when the files change.

Invariant: applying new settings never disturbs a group that they do not change; a changed group keeps the state of the
rules that it still has.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field

from nunchi.kit.errors import NunchiError
from nunchi.rules.files import RuleFile
from nunchi.rules.rule_group import Connections, GroupDefaults, RuleGroup
from nunchi.rules.status import RuleGroupStatus
from nunchi.rules.surroundings import Surroundings

STALE_AFTER_INTERVALS = 2


@dataclass(frozen=True, slots=True)
class RulesSettings:
    """What `RuleManager.apply` takes: loaded files, and what `global:` and the flags say."""

    files: tuple[RuleFile, ...] = ()
    defaults: GroupDefaults = field(default_factory=GroupDefaults)
    surroundings: Surroundings = field(default_factory=Surroundings)


class RuleManager:
    """A `kit.supervision.Part`: evaluates every group in its slots from `run` on."""

    name = "rules"

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._groups: dict[str, RuleGroup] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_running = False
        self._was_applied = False

    def apply(self, settings: RulesSettings) -> None:
        """Make these groups the ones that exist. Groups that are the same go on; the others keep what they can."""
        wanted: dict[str, RuleGroup] = {}
        for file in settings.files:
            for one in file.groups:
                group = RuleGroup(
                    one,
                    file.path,
                    settings.defaults,
                    settings.surroundings,
                    self._connections,
                    is_restored=self._was_applied,
                )
                wanted[group.key] = self._kept_or(group)
        for key, group in self._groups.items():
            if wanted.get(key) is not group:
                self._cancel(key)
            if key not in wanted:
                self._connections.telemetry.remove_group(key)
                self._start(f"ending {key}", self._end(group))
        self._groups = wanted
        self._was_applied = True
        if self._is_running:
            self._start_all()

    def groups(self) -> list[RuleGroupStatus]:
        """Every group, in the order of files and of groups within them."""
        return [group.status() for group in self._groups.values()]

    async def start(self) -> None:
        """Nothing is needed."""

    async def run(self) -> None:
        """Evaluate until cancelled."""
        self._is_running = True
        try:
            self._start_all()
            await asyncio.Event().wait()
        finally:
            self._is_running = False
            tasks = list(self._tasks.values())
            self._tasks.clear()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Nothing is held."""

    def _kept_or(self, group: RuleGroup) -> RuleGroup:
        known = self._groups.get(group.key)
        if known is not None and known.is_same(group):
            return known
        if known is not None:
            group.take_over(known)
        self._connections.telemetry.add_group(group.key, group.interval_ms / 1000, len(group.rules()))
        return group

    def _start_all(self) -> None:
        for key, group in self._groups.items():
            if key not in self._tasks:
                self._start(key, self._keep_evaluating(group))

    def _start(self, key: str, work: Coroutine[object, object, None]) -> None:
        if not self._is_running:
            work.close()
            return
        task = asyncio.create_task(work, name=f"rules {key}")
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._tasks.pop(key, None) if self._tasks.get(key) is done else None)

    def _cancel(self, key: str) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def _keep_evaluating(self, group: RuleGroup) -> None:
        clock = self._connections.clock
        slot_ms = group.schedule.next_slot(clock.now_ms())
        while True:
            await self._wait_until(slot_ms, group.interval_ms)
            await self._evaluate(group, slot_ms)
            slot_ms, missed = group.schedule.following(slot_ms, clock.now_ms())
            if missed:
                group.miss(missed)

    async def _wait_until(self, slot_ms: int, interval_ms: int) -> None:
        """Until the wall clock says so; a clock that was set back makes it one interval at most."""
        remaining_ms = slot_ms - self._connections.clock.now_ms()
        await self._connections.clock.sleep(min(max(0, remaining_ms), interval_ms) / 1000)

    async def _evaluate(self, group: RuleGroup, slot_ms: int) -> None:
        try:
            await group.evaluate(slot_ms)
        except NunchiError as error:
            self._connections.log.warning("rule group failed", rule_group=group.key, error=error)
        except Exception as error:
            self._connections.log.exception("BUG: rule group failed", rule_group=group.key, error=error)

    async def _end(self, group: RuleGroup) -> None:
        """Mark a removed group's series stale once other groups had the time to take them over."""
        await self._connections.clock.sleep(STALE_AFTER_INTERVALS * group.interval_ms / 1000)
        if group.key not in self._groups:
            with contextlib.suppress(NunchiError):
                group.end(self._connections.clock.now_ms())
