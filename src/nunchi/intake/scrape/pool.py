"""All targets of one job: what its mechanisms found, made into targets, each with its loop.

Invariant: applying settings or groups is a difference: a target that stays what it was keeps its loop, phase and cache.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nunchi.intake.mechanism import Mechanism, TargetGroup
from nunchi.intake.scrape.fetch import Fetcher, FetchSettings
from nunchi.intake.scrape.loop import LoopContext, TargetLoop
from nunchi.intake.scrape.series import SampleRules
from nunchi.intake.scrape.status import DroppedTarget, TargetStatus
from nunchi.intake.scrape.target import Target, TargetDefaults, TargetError, discovered_labels, make_target
from nunchi.model.labels import Labels
from nunchi.model.relabel import Relabeller

DROPPED_KEPT_MAX = 10_000
MECHANISM_RESTART_SECONDS = 5.0

Identity = tuple[Labels, str]
MakeFetcher = Callable[[Target, FetchSettings, str], Fetcher]


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """One job, resolved: the global defaults are already in it."""

    defaults: TargetDefaults
    relabelling: Relabeller
    rules: SampleRules
    fetch: FetchSettings
    targets_max: int = 0
    dropped_kept_max: int = 0
    extra_report: bool = False


@dataclass(slots=True)
class _Running:
    """A loop and the tasks around it. `mechanism` names what found the target."""

    loop: TargetLoop
    mechanism: str
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Source:
    """A running mechanism, known by its settings, and what it published last; None: nothing yet."""

    mechanism: Mechanism
    task: asyncio.Task[None]
    groups: Sequence[TargetGroup] | None = None


class ScrapePool:
    """One job of the configuration file."""

    def __init__(self, settings: PoolSettings, make_fetcher: MakeFetcher, context: LoopContext) -> None:
        self.settings = settings
        self.name = settings.defaults.job_name
        self.dropped: list[DroppedTarget] = []
        self.dropped_count = 0
        self._make_fetcher = make_fetcher
        self._context = context
        self._running: dict[Identity, _Running] = {}
        self._ending: dict[Identity, _Running] = {}
        self._sources: dict[object, _Source] = {}
        self._retired: list[_Source] = []

    # Settings and mechanisms.

    def apply(self, settings: PoolSettings, mechanisms: Mapping[object, Mechanism], context: LoopContext) -> None:
        """Take other settings; mechanisms are known by their keys (their settings), and those that stay are not restarted.

        What removed ones had found stays until every new one has published, so that a changed list is a difference too.
        """
        changed = settings != self.settings or context != self._context
        self.settings, self._context = settings, context
        for key in [key for key in self._sources if key not in mechanisms]:
            source = self._sources.pop(key)
            source.task.cancel()
            self._retired.append(source)
        for key, mechanism in mechanisms.items():
            if key not in self._sources:
                self._sources[key] = _Source(mechanism, asyncio.create_task(self._discover(key, mechanism)))
        if changed:
            for running in self._running.values():
                self._renew(running, running.loop.target)
        self.sync()

    async def _discover(self, key: object, mechanism: Mechanism) -> None:
        """Keep one mechanism running; when it fails, what it found last stays."""

        def publish(groups: Sequence[TargetGroup]) -> None:
            source = self._sources.get(key)
            if source is not None and source.mechanism is mechanism:
                source.groups = groups
                self.sync()

        while True:
            try:
                await mechanism.run(publish)
            except Exception as error:
                self._context.log.exception(
                    "discovery failed; its last targets stay", job=self.name, mechanism=mechanism.name, error=error
                )
                await self._context.clock.sleep(MECHANISM_RESTART_SECONDS)
            else:
                return

    # Targets.

    def sync(self) -> None:
        """Work out the targets anew from the groups known now, and start, renew and end loops accordingly."""
        if all(source.groups is not None for source in self._sources.values()):
            self._retired = []
        found = self._found()
        for identity in [identity for identity in self._running if identity not in found]:
            self._end(identity)
        for identity, (target, mechanism) in found.items():
            running = self._running.get(identity) or self._revived(identity)
            if running is None:
                loop = self._new_loop(target)
                self._start(identity, _Running(loop, mechanism))
            elif running.loop.target != target:
                self._renew(running, target)
            if running is not None:
                running.mechanism = mechanism
        self._force_errors()
        telemetry = self._context.telemetry
        telemetry.syncs.add(1, self.name)
        telemetry.targets.set(len(self._running), self.name, "active")
        telemetry.targets.set(self.dropped_count, self.name, "dropped")

    def _found(self) -> dict[Identity, tuple[Target, str]]:
        """Targets by identity; what is dropped or invalid is remembered for who asks why."""
        settings = self.settings
        found: dict[Identity, tuple[Target, str]] = {}
        self.dropped, self.dropped_count = [], 0
        for source in (*self._sources.values(), *self._retired):
            for group in source.groups or ():
                for own in group.targets:
                    discovered = discovered_labels(own, group.labels, settings.defaults)
                    try:
                        target = make_target(discovered, settings.relabelling, settings.defaults)
                    except TargetError as error:
                        self._drop(discovered, str(error))
                        continue
                    if target is None:
                        self._drop(discovered, "")
                    else:
                        found.setdefault(target.identity, (target, source.mechanism.name))
        return found

    def _drop(self, discovered: dict[str, str], error: str) -> None:
        self.dropped_count += 1
        if len(self.dropped) < (self.settings.dropped_kept_max or DROPPED_KEPT_MAX):
            rule = None if error else self.settings.relabelling.dropping_rule(discovered)
            self.dropped.append(DroppedTarget(Labels(discovered), self.name, rule, error))

    def _new_loop(self, target: Target) -> TargetLoop:
        settings = self.settings
        fetcher = self._make_fetcher(target, settings.fetch, self.name)
        return TargetLoop(target, settings.rules, fetcher, self._context, extra=settings.extra_report)

    def _start(self, identity: Identity, running: _Running) -> None:
        self._running[identity] = running
        running.task = asyncio.create_task(running.loop.run(self.name))

    def _renew(self, running: _Running, target: Target) -> None:
        """Other settings, the same target: the loop begins again at its schedule, its series stay known."""
        if running.task is not None:
            running.task.cancel()
        loop = running.loop
        loop.fetcher.close()
        loop.target, loop.context = target, self._context
        loop.fetcher = self._make_fetcher(target, self.settings.fetch, self.name)
        loop.renew(self.settings.rules, extra=self.settings.extra_report)
        running.task = asyncio.create_task(loop.run(self.name))

    def _end(self, identity: Identity) -> None:
        running = self._running.pop(identity)
        if running.task is not None:
            running.task.cancel()
        running.loop.fetcher.close()
        self._ending[identity] = running
        running.task = asyncio.create_task(self._finish(identity, running))

    async def _finish(self, identity: Identity, running: _Running) -> None:
        await running.loop.end()
        if self._ending.get(identity) is running:
            del self._ending[identity]

    def _revived(self, identity: Identity) -> _Running | None:
        """A target that is back before its series were marked: as if it had never gone."""
        running = self._ending.pop(identity, None)
        if running is not None:
            self._running[identity] = running
            self._renew(running, running.loop.target)
        return running

    def _force_errors(self) -> None:
        """Beyond the limit of targets, none of the job's is scraped: a limit that hides some would lie."""
        count, most = len(self._running), self.settings.targets_max
        error = f"target_limit exceeded (number of targets: {count}, limit: {most})" if most and count > most else ""
        for running in self._running.values():
            running.loop.forced_error = error

    # Life and looks.

    def end(self) -> None:
        """The job was removed: its targets vanish, with markers in due time."""
        for source in self._sources.values():
            source.task.cancel()
        self._sources = {}
        self.sync()

    async def stop(self) -> None:
        """The process ends: no markers, targets will be there when it is back."""
        tasks = [source.task for source in self._sources.values()]
        for running in (*self._running.values(), *self._ending.values()):
            running.loop.fetcher.close()
            if running.task is not None:
                tasks.append(running.task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running, self._ending, self._sources = {}, {}, {}

    @property
    def is_over(self) -> bool:
        """Whether an ended pool has nothing left to wait for."""
        return not self._running and not self._ending

    def targets(self, external_host: str) -> list[TargetStatus]:
        """A snapshot, in the order of URLs."""
        found = [self._status(running, external_host) for running in self._running.values()]
        return sorted(found, key=lambda status: (status.scrape_url, status.labels))

    def _status(self, running: _Running, external_host: str) -> TargetStatus:
        loop, target = running.loop, running.loop.target
        is_local = target.host in {"localhost", "127.0.0.1", "::1"}
        here = (
            target.authority.replace(target.host, external_host, 1) if is_local and external_host else target.authority
        )
        return TargetStatus(
            discovered_labels=target.discovered,
            labels=target.labels,
            scrape_pool=self.name,
            scrape_url=target.url,
            global_url=f"{target.scheme}://{here}{target.path_and_query}",
            health=loop.health,
            last_error=loop.last_error,
            last_scrape=loop.last_scrape,
            last_scrape_duration_seconds=loop.last_duration_seconds,
            interval_ms=target.interval_ms,
            timeout_ms=target.timeout_ms,
            samples=loop.last_report.samples,
            samples_kept=loop.last_report.samples_kept,
            mechanism=running.mechanism,
        )

    def find_loop(self, labels: Labels) -> TargetLoop | None:
        """The loop of a target, by its labels."""
        return next((running.loop for (own, _), running in self._running.items() if own == labels), None)
