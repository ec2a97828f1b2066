"""`targets`: what is scraped, and what relabelling dropped, as Prometheus lists it."""

from collections import Counter

from nunchi.intake.scrape.status import DroppedTarget, TargetStatus
from nunchi.kit.durations import format_duration
from nunchi.kit.http_route import Route
from nunchi.web.contracts import TargetSource
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.moments import format_moment
from nunchi.web.prometheus_api.parameters import Parameters


class TargetEndpoints:
    """Endpoints about scraping."""

    def __init__(self, source: TargetSource) -> None:
        self._source = source

    def routes(self, envelope: Envelope) -> list[Route]:
        """All of them."""
        return [
            *envelope.read("/api/v1/targets", self.targets),
            *envelope.read("/api/v1/scrape_pools", self.scrape_pools),
        ]

    async def targets(self, parameters: Parameters) -> Answer:
        """Active and dropped targets, one kind alone with `state`, one pool alone with `scrapePool`."""
        state = parameters.text("state").lower()
        pool = parameters.text("scrapePool")
        shows_active = state in ("", "any", "active")
        shows_dropped = state in ("", "any", "dropped")
        active = [target for target in self._source.targets() if not pool or target.scrape_pool == pool]
        dropped = [target for target in self._source.dropped_targets() if not pool or target.scrape_pool == pool]
        counts = Counter(target.scrape_pool for target in dropped)
        return Answer(
            {
                "activeTargets": [_active(target) for target in active] if shows_active else [],
                "droppedTargets": [_dropped(target) for target in dropped] if shows_dropped else [],
                "droppedTargetCounts": dict(counts) if shows_dropped else None,
            }
        )

    async def scrape_pools(self, _: Parameters) -> Answer:
        """Names of the pools that have targets."""
        return Answer({"scrapePools": sorted({target.scrape_pool for target in self._source.targets()})})


def _active(target: TargetStatus) -> dict[str, object]:
    return {
        "discoveredLabels": dict(target.discovered_labels),
        "labels": dict(target.labels),
        "scrapePool": target.scrape_pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": target.global_url,
        "lastError": target.last_error,
        "lastScrape": format_moment(round(target.last_scrape * 1000)),
        "lastScrapeDuration": target.last_scrape_duration_seconds,
        "health": target.health.value,
        "scrapeInterval": format_duration(target.interval_ms),
        "scrapeTimeout": format_duration(target.timeout_ms),
    }


def _dropped(target: DroppedTarget) -> dict[str, object]:
    return {"discoveredLabels": dict(target.discovered_labels), "scrapePool": target.scrape_pool}
