"""Keeps clippers as a cloud configuration wants them: what changed is stopped first and made anew, all else runs on.

Invariant: one clipper's failure is its own: it is shown, counted, and the clipper is called again when due; of one place
(provider, account, region) there are never two sets of clippers at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nunchi.agent.clipper import Clipper, Definition, Provider
from nunchi.agent.cloud.errors import CloudError
from nunchi.agent.cloud.telemetry import CloudTelemetry
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.wire.cloud_configuration import CloudConfiguration

PAUSE_SECONDS_MIN = 0.5  # between two rounds of one clipper, however late it is
RETRY_SECONDS = 30.0  # after a round that failed as a whole
MESSAGE_CHARACTERS_MAX = 500

STARTING, RUNNING, DEGRADED, FAILING = "starting", "running", "degraded", "failing"


@dataclass(slots=True, eq=False)
class Running:
    """One clipper, how it fares, and the task that calls it. Times by the wall clock."""

    clipper: Clipper
    state: str = STARTING
    messages: tuple[str, ...] = ()
    last_round_ms: int = 0
    last_success_ms: int = 0
    rounds: int = 0
    failures: int = 0
    task: "asyncio.Task[None] | None" = None

    def status(self) -> dict[str, Any]:
        """For JSON, without its place."""
        return {
            "kind": self.clipper.key.kind,
            "state": self.state,
            "messages": list(self.messages),
            "rounds": self.rounds,
            "failures": self.failures,
            "last_round_ms": self.last_round_ms,
            "last_success_ms": self.last_success_ms,
        }


@dataclass(slots=True, eq=False)
class Watched:
    """One account in one region. `refusal` says why there are no clippers where there are none."""

    definition: Definition
    clippers: list[Running] = field(default_factory=list)
    refusal: str = ""

    def status(self) -> list[dict[str, Any]]:
        """For JSON, without the place; where it cannot be watched, why."""
        refused = [{"kind": "", "state": FAILING, "messages": [self.refusal]}] if self.refusal else []
        return refused + [one.status() for one in self.clippers]


class ClipManager:
    """A part. Without a configuration it waits, and says so."""

    name = "agent.cloud"

    def __init__(self, providers: Sequence[Provider], telemetry: CloudTelemetry, clock: Clock, log: Logger) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._telemetry = telemetry
        self._clock = clock
        self._log = log
        self._watched: dict[tuple[str, str, str], Watched] = {}
        self._lock = asyncio.Lock()
        self._configuration: CloudConfiguration | None = None

    async def start(self) -> None:
        """Nothing to take: clippers come with a configuration."""
        self._telemetry.configured.set(0)

    async def run(self) -> None:
        """Clippers have tasks of their own."""

    async def stop(self) -> None:
        """Stop all clippers."""
        await self.apply(None)

    async def apply(self, configuration: CloudConfiguration | None) -> None:
        """Go on by another configuration; None: there is none, wait."""
        async with self._lock:
            wanted = {one.place: one for one in self._definitions(configuration)}
            for place, watched in list(self._watched.items()):
                if wanted.get(place) != watched.definition:
                    await self._end(place)
            begun = 0
            for place, definition in wanted.items():
                if place not in self._watched:
                    self._begin(definition)
                    begun += 1
            self._configuration = configuration
            self._telemetry.configured.set(1 if self.is_configured else 0)
            if configuration is not None:
                self._log.info("cloud configuration in force", places=len(wanted), begun=begun)

    async def renew(self) -> None:
        """Providers have other settings: what these change is stopped and begun anew, all else runs on."""
        if self.is_configured:
            await self.apply(self._configuration)

    def check(self, configuration: CloudConfiguration) -> list[str]:
        """What would not work here: a line for each definition that cannot be begun. Nothing is begun."""
        problems = []
        for definition in self._definitions(configuration):
            try:
                self._providers[definition.place[0]].build(definition)
            except CloudError as error:
                problems.append(f"{'/'.join(definition.place)}: {error}")
        return problems

    def status(self) -> list[dict[str, Any]]:
        """Every clipper, for the API and the server; a place without clippers shows why."""
        return [
            {"provider": place[0], "account": place[1], "region": place[2], **one}
            for place, watched in sorted(self._watched.items())
            for one in watched.status()
        ]

    @property
    def is_configured(self) -> bool:
        """Whether there is a configuration."""
        return self._configuration is not None

    @property
    def state(self) -> str:
        """`waiting` while there is no configuration, else `running`."""
        return RUNNING if self.is_configured else "waiting"

    def _definitions(self, configuration: CloudConfiguration | None) -> list[Definition]:
        if configuration is None:
            return []
        return [one for provider in self._providers.values() for one in provider.definitions(configuration)]

    def _begin(self, definition: Definition) -> None:
        watched = self._watched[definition.place] = Watched(definition)
        try:
            clippers = self._providers[definition.place[0]].build(definition)
        except CloudError as error:
            watched.refusal = str(error)
            self._log.error("an account cannot be watched", place="/".join(definition.place), error=error)
            return
        for clipper in clippers:
            running = Running(clipper)
            running.task = asyncio.create_task(self._keep_clipping(running), name=f"clipper {clipper.key}")
            watched.clippers.append(running)

    async def _end(self, place: tuple[str, str, str]) -> None:
        watched = self._watched.pop(place)
        tasks = [one.task for one in watched.clippers if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in watched.clippers:
            await one.clipper.close()
        self._telemetry.forget(*place[1:])

    async def _keep_clipping(self, running: Running) -> None:
        clipper, clock = running.clipper, self._clock
        while True:
            await clock.sleep(clipper.due_at() - clock.monotonic())
            began = clock.monotonic()
            try:
                messages, state = tuple(await clipper.clip()), RUNNING
            except CloudError as error:
                messages, state = (str(error),), FAILING
            except Exception as error:
                messages, state = (f"BUG: {type(error).__name__}: {error}",), FAILING
                self._log.exception("BUG: a clipper failed", clipper=clipper.key, error=error)
            self._note(running, state, messages, clock.monotonic() - began)
            await clock.sleep(RETRY_SECONDS if state == FAILING else PAUSE_SECONDS_MIN)

    def _note(self, running: Running, state: str, messages: tuple[str, ...], duration_seconds: float) -> None:
        if messages and state == RUNNING:
            state = DEGRADED
        key, now_ms = running.clipper.key, self._clock.now_ms()
        place = key.account, key.region
        if (state, messages) != (running.state, running.messages):
            if state == RUNNING:
                self._log.info("a clipper runs", account=key.account, region=key.region, kind=key.kind)
            else:
                self._log.warning(
                    "a clipper has problems", account=key.account, region=key.region, kind=key.kind, first=messages[0]
                )
        running.state = state
        running.messages = tuple(one[:MESSAGE_CHARACTERS_MAX] for one in messages)
        running.rounds += 1
        running.last_round_ms = now_ms
        if state == RUNNING:
            running.last_success_ms = now_ms
        else:
            running.failures += 1
        self._telemetry.clips.add(1, *place, key.kind, state)
        self._telemetry.up.set(1 if state == RUNNING else 0, *place, key.kind)
        self._telemetry.duration.set(duration_seconds, *place, key.kind)
