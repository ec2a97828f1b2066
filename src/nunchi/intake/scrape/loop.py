"""One target, scraped on its schedule until it goes away: fetch ▸ decode ▸ read ▸ batch ▸ append ▸ settle.

Failures end at one boundary, `scrape`: whatever went wrong is this scrape's error and the next one comes on time.
Invariants: every scrape appends exactly once, its report included, under one timestamp; nobody touches `series` while a
thread reads into it.
"""

import asyncio
from dataclasses import dataclass

from nunchi.admission.door import Door
from nunchi.intake.scrape.errors import ScrapeError, ScrapeLimitError
from nunchi.intake.scrape.fetch import Answer, Fetcher
from nunchi.intake.scrape.reading import Readers, is_large
from nunchi.intake.scrape.report import BODY_TOO_LARGE, Report, report_names
from nunchi.intake.scrape.schedule import following_moment_ms, next_moment_ms, snapped_ms
from nunchi.intake.scrape.series import SampleRules, Scraped, TargetSeries
from nunchi.intake.scrape.target import Health, Target
from nunchi.intake.scrape.telemetry import ScrapeTelemetry
from nunchi.kit.clock import Clock
from nunchi.kit.errors import NunchiError, WorldError
from nunchi.kit.logs import Logger
from nunchi.model.batch import Reason

SOURCE = "scrape"
END_WAIT_INTERVALS = 1.1


@dataclass(frozen=True, slots=True)
class LoopContext:
    """What all loops of the process share."""

    door: Door
    clock: Clock
    log: Logger
    telemetry: ScrapeTelemetry
    readers: Readers
    seed: int


class TargetLoop:
    """Scrapes one target; `last_…` tell how it went."""

    def __init__(
        self, target: Target, rules: SampleRules, fetcher: Fetcher, context: LoopContext, *, extra: bool
    ) -> None:
        self.target = target
        self.fetcher = fetcher
        self.series = TargetSeries(target.labels, rules, report_names(extra=extra))
        self.health = Health.UNKNOWN
        self.forced_error = ""
        self.last_error = ""
        self._last_scrape_ms = 0
        self.last_duration_seconds = 0.0
        self.last_report = Report(is_up=False, duration_seconds=0.0)
        self._extra = extra
        self._renewal: tuple[SampleRules, bool] | None = None
        self._reading: asyncio.Future[tuple[int, Scraped]] | None = None
        self.context = context
        self._pool_name = ""

    @property
    def last_scrape(self) -> float:
        """When it was last scraped, in seconds since the epoch; 0: never."""
        return self._last_scrape_ms / 1000

    def renew(self, rules: SampleRules, *, extra: bool) -> None:
        """Apply other rules when `run` begins again; what was present is remembered."""
        self._renewal = rules, extra

    async def _take_renewal(self) -> None:
        """Let a thread finish that still reads for a scrape which was cancelled, then apply what `renew` brought."""
        if self._reading is not None:
            await asyncio.wait((self._reading,))
            self._reading = None
        if self._renewal is not None:
            rules, extra = self._renewal
            self._renewal = None
            if rules != self.series.rules or extra != self._extra:
                self._extra = extra
                self.series.renew(rules, report_names(extra=extra))

    async def run(self, pool_name: str) -> None:
        """Scrape at every moment of the target's schedule until cancelled."""
        self._pool_name = pool_name
        await self._take_renewal()
        clock, interval_ms = self.context.clock, self.target.interval_ms
        phase_ms = self.target.phase_ms(self.context.seed)
        moment_ms = next_moment_ms(max(clock.now_ms(), self._last_scrape_ms + 1), interval_ms, phase_ms)
        while True:
            wait_ms = moment_ms - clock.now() * 1000
            if wait_ms > 0:
                await clock.sleep(wait_ms / 1000)
            await self.scrape(snapped_ms(clock.now_ms(), moment_ms, interval_ms))
            moment_ms, missed = following_moment_ms(moment_ms, clock.now_ms(), interval_ms, phase_ms)
            if missed:
                self.context.telemetry.missed.add(missed, pool_name)

    async def scrape(self, timestamp_ms: int) -> None:
        """One scrape, whole. Raises nothing but cancellation."""
        clock = self.context.clock
        began, scraped, error, body_bytes = clock.monotonic(), None, "", 0
        try:
            if self.forced_error:
                raise ScrapeError(self.forced_error)
            body_bytes, scraped = await self._read(await self.fetcher.fetch())
        except ScrapeLimitError as failure:
            error, body_bytes = str(failure), BODY_TOO_LARGE if failure.is_body else body_bytes
        except NunchiError as failure:
            error = str(failure)
        except Exception as failure:
            error = f"BUG: {type(failure).__name__}: {failure}"
            self.context.log.exception("BUG: scrape failed", target=self.target.url, error=failure)
        duration_seconds = clock.monotonic() - began
        report = Report(
            is_up=scraped is not None,
            duration_seconds=duration_seconds,
            samples=scraped.samples if scraped else 0,
            samples_kept=scraped.samples_kept if scraped else 0,
            series_added=scraped.series_added if scraped else 0,
            body_bytes=body_bytes if scraped or body_bytes == BODY_TOO_LARGE else 0,
        )
        error = self._store(timestamp_ms, scraped, report) or error
        self._tell_change(error)
        self.health = Health.DOWN if error else Health.UP
        self.last_error = error
        self._last_scrape_ms = timestamp_ms
        self.last_duration_seconds = duration_seconds
        self.last_report = report
        self._count(scraped, body_bytes, failed=bool(error))

    def _tell_change(self, error: str) -> None:
        """The log hears when a target goes down and comes back, not of every scrape."""
        if error and self.health is not Health.DOWN:
            self.context.log.warning("target is down", job=self._pool_name, target=self.target.url, reason=error)
        elif not error and self.health is Health.DOWN:
            self.context.log.info("target is up again", job=self._pool_name, target=self.target.url)

    async def _read(self, answer: Answer) -> tuple[int, Scraped]:
        """The size of the exposition and what it says; a large one is read aside."""

        def read() -> tuple[int, Scraped]:
            body = answer.decode()
            return len(body), self.series.read(body, answer.format)

        if not is_large(answer):
            return read()
        self._reading = self.context.readers.submit(read)
        self._reading.add_done_callback(_take_note)
        result = await asyncio.shield(self._reading)
        self._reading = None
        return result

    def _store(self, timestamp_ms: int, scraped: Scraped | None, report: Report) -> str:
        """Append one scrape; returns what the store had against it."""
        values = report.values()
        if self._extra:
            values += report.extra_values(self.target.timeout_ms, self.series.rules.samples_max)
        try:
            self.context.door.append(SOURCE, *self.series.batches(timestamp_ms, scraped, values))
        except WorldError as failure:
            return f"not stored: {failure}"
        self.series.settle(scraped)
        return ""

    def _count(self, scraped: Scraped | None, body_bytes: int, *, failed: bool) -> None:
        telemetry, door = self.context.telemetry, self.context.door
        telemetry.scrapes.add(1, self._pool_name, "failed" if failed else "ok")
        telemetry.body_bytes.add(max(0, body_bytes), self._pool_name)
        if scraped is not None:
            door.count_dropped(SOURCE, scraped.shape.relabelled)
            if scraped.shape.duplicates:
                telemetry.duplicates.add(scraped.shape.duplicates, self._pool_name)
                door.count_rejected(SOURCE, scraped.shape.duplicates, Reason.DUPLICATE_TIMESTAMP)

    async def end(self) -> None:
        """The target has vanished: after two intervals and a bit, mark all its series stale as of its next scrape.

        If it came back in the meantime, its own newer samples make these markers too late, and the store refuses them.
        """
        await self._take_renewal()
        if not self._last_scrape_ms:
            return
        clock, interval_ms = self.context.clock, self.target.interval_ms
        moment_ms = next_moment_ms(clock.now_ms(), interval_ms, self.target.phase_ms(self.context.seed))
        await clock.sleep((moment_ms - clock.now_ms()) / 1000)
        timestamp_ms = snapped_ms(clock.now_ms(), moment_ms, interval_ms)
        await clock.sleep(END_WAIT_INTERVALS * interval_ms / 1000)
        try:
            self.context.door.append("scrape_end", *self.series.end_batches(timestamp_ms))
        except WorldError as failure:
            self.context.log.error("staleness markers not stored", target=self.target.url, error=failure)


def _take_note(reading: "asyncio.Future[tuple[int, Scraped]]") -> None:
    """Whoever waited may be gone: what an abandoned reading raises is nobody's surprise."""
    if not reading.cancelled():
        reading.exception()
