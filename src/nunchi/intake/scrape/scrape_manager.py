"""All jobs: a part that holds one pool a job and applies settings as a difference.

Invariant: `apply` either takes all of the new settings or, raising, leaves everything as it was.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType

from nunchi.admission.door import Door
from nunchi.intake.mechanism import Mechanism
from nunchi.intake.mechanisms import make_mechanisms
from nunchi.intake.scrape.fetch import FetchContext, Fetcher, FetchSettings, JobConnections
from nunchi.intake.scrape.loop import LoopContext, TargetLoop
from nunchi.intake.scrape.pool import PoolSettings, ScrapePool
from nunchi.intake.scrape.reading import Readers
from nunchi.intake.scrape.settings import NO_FEATURES, GlobalSettings, JobSettings, ScrapeFeatures, resolve_job
from nunchi.intake.scrape.status import DroppedTarget, TargetStatus
from nunchi.intake.scrape.target import Target
from nunchi.intake.scrape.telemetry import ScrapeTelemetry
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata

LOOK_SECONDS = 60.0
NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ScrapeSettings:
    """What scraping takes of the configuration file.

    Relative file names are below `folder`, those of jobs in files of their own below what `folders` says, by job name.
    """

    common: GlobalSettings
    jobs: Sequence[JobSettings]
    folder: Path = Path()
    folders: Mapping[str, Path] = field(default_factory=dict)

    def folder_of(self, job: JobSettings) -> Path:
        """Where a job's relative file names begin."""
        return self.folders.get(job.job_name, self.folder)


def spread_seed(host_name: str, external_labels: Mapping[str, str]) -> int:
    """Where in their interval targets are scraped differs between the members of a pair: host and labels decide."""
    words = [host_name, *(word for pair in sorted(external_labels.items()) for word in pair)]
    digest = blake2b("\xff".join(words).encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


class ScrapeManager:
    """A part: targets of all jobs, scraped for as long as it runs."""

    name = "scrape"

    def __init__(
        self,
        door: Door,
        clock: Clock,
        telemetry: Telemetry,
        log: Logger,
        *,
        host_name: str,
        user_agent: str = "nunchi",
        external_host: str = "",
        environment: Mapping[str, str] = NO_ENVIRONMENT,
        features: ScrapeFeatures = NO_FEATURES,
    ) -> None:
        self._features = features
        self._door = door
        self._clock = clock
        self._log = log
        self._telemetry = ScrapeTelemetry(telemetry)
        self._host_name = host_name
        self._external_host = external_host
        self._fetch_context = FetchContext(clock, user_agent, self._telemetry.connections, environment)
        self._readers = Readers()
        self._pools: dict[str, ScrapePool] = {}
        self._ended: list[ScrapePool] = []
        self._connections: dict[str, JobConnections] = {}
        self._outdated: list[JobConnections] = []

    # Settings.

    def check(self, settings: ScrapeSettings) -> None:
        """Whether `apply` would take these settings: raises `InputError` if not."""
        for job in settings.jobs:
            resolve_job(settings.common, job, settings.folder_of(job))

    def apply(self, settings: ScrapeSettings) -> None:
        """Scrape by these settings from now on. Raises `InputError` for what this version does not do."""
        resolved: list[tuple[PoolSettings, Mapping[object, Mechanism]]] = [
            (
                resolve_job(settings.common, job, settings.folder_of(job), self._features),
                make_mechanisms(job, settings.folder_of(job), self._clock, self._log),
            )
            for job in settings.jobs
        ]
        seed = spread_seed(self._host_name, settings.common.external_labels)
        context = LoopContext(self._door, self._clock, self._log, self._telemetry, self._readers, seed)
        names = {pool_settings.defaults.job_name for pool_settings, _ in resolved}
        for name in [name for name in self._pools if name not in names]:
            self._end(name)
        for pool_settings, mechanisms in resolved:
            self._apply_job(pool_settings, mechanisms, context)

    def _apply_job(self, settings: PoolSettings, mechanisms: Mapping[object, Mechanism], context: LoopContext) -> None:
        name = settings.defaults.job_name
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = ScrapePool(settings, self._make_fetcher, context)
        pool.apply(settings, mechanisms, context)

    def _end(self, name: str) -> None:
        pool = self._pools.pop(name)
        pool.end()
        self._ended.append(pool)

    def _make_fetcher(self, target: Target, settings: FetchSettings, job: str) -> Fetcher:
        connections = self._connections.get(job)
        if connections is None or connections.settings != settings:
            if connections is not None:
                self._outdated.append(connections)
            connections = self._connections[job] = JobConnections(settings, self._fetch_context)
        return Fetcher(target, connections)

    # A part's life.

    async def start(self) -> None:
        """Nothing to take: targets come with settings."""

    async def run(self) -> None:
        """Clear away what ended jobs leave behind."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            self._ended = [pool for pool in self._ended if not pool.is_over]
            outdated, self._outdated = self._outdated, []
            for connections in outdated:
                await connections.close()

    async def stop(self) -> None:
        """End all scraping, without markers: the targets will be there when the server is back."""
        await asyncio.gather(*(pool.stop() for pool in (*self._pools.values(), *self._ended)))
        for connections in (*self._connections.values(), *self._outdated):
            await connections.close()
        self._readers.close()
        self._pools, self._ended, self._connections, self._outdated = {}, [], {}, []

    # What pages and API show.

    def targets(self) -> list[TargetStatus]:
        """Every active target, by job, then URL."""
        return [status for name in sorted(self._pools) for status in self._pools[name].targets(self._external_host)]

    def dropped_targets(self) -> list[DroppedTarget]:
        """What was found and is not scraped, as far as it is kept."""
        return [dropped for name in sorted(self._pools) for dropped in self._pools[name].dropped]

    def dropped_counts(self) -> dict[str, int]:
        """How many were dropped, by job."""
        return {name: self._pools[name].dropped_count for name in sorted(self._pools)}

    def metadata(self, target: TargetStatus) -> Mapping[str, Metadata]:
        """What a target says of its metric families; empty once it is gone."""
        loop = self.find_loop(target.scrape_pool, target.labels)
        return loop.series.metadata if loop else {}

    def find_loop(self, job: str, labels: Labels) -> TargetLoop | None:
        """The loop of one target: its metadata and last scrape."""
        pool = self._pools.get(job)
        return pool.find_loop(labels) if pool else None
