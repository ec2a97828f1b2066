"""`targets`, `targets/metadata`, `scrape_pools`: what is scraped, and what relabelling dropped, as Prometheus lists it."""

from nunchi.intake.scrape.status import DroppedTarget, TargetStatus
from nunchi.kit.durations import format_duration
from nunchi.kit.http_route import Route
from nunchi.model.matchers import all_match
from nunchi.model.metadata import Metadata
from nunchi.web.contracts import TargetSource
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.moments import format_moment
from nunchi.web.prometheus_api.parameters import Parameters
from nunchi.web.prometheus_api.selectors import read_selector


class TargetEndpoints:
    """Endpoints about scraping."""

    def __init__(self, source: TargetSource) -> None:
        self._source = source

    def routes(self, envelope: Envelope) -> list[Route]:
        """All of them."""
        return [
            *envelope.read("/api/v1/targets", self.targets),
            *envelope.read("/api/v1/targets/metadata", self.metadata),
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
        counts = {name: count for name, count in self._source.dropped_counts().items() if pool in ("", name)}
        return Answer(
            {
                "activeTargets": [_active(target) for target in active] if shows_active else [],
                "droppedTargets": [_dropped(target) for target in dropped] if shows_dropped else [],
                "droppedTargetCounts": counts if shows_dropped else None,
            }
        )

    async def scrape_pools(self, _: Parameters) -> Answer:
        """Names of all pools, those without targets too."""
        return Answer({"scrapePools": sorted(self._source.dropped_counts())})

    async def metadata(self, parameters: Parameters) -> Answer:
        """What targets say of their metric families; after `limit` of them no further target is looked at."""
        metric = parameters.text("metric")
        limit = parameters.optional_count("limit")
        selector = parameters.text("match_target")
        matchers = read_selector("match_target", selector) if selector else ()
        shown: list[dict[str, object]] = []
        targets = [target for target in self._source.targets() if all_match(matchers, target.labels)]
        for target in targets:
            if limit is not None and 0 <= limit <= len(shown):
                break
            families = self._source.metadata(target)
            names = [name for name in ([metric] if metric else families) if name in families]
            shown += [_family(target, "" if metric else name, families[name]) for name in names]
        return Answer(shown)


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


def _family(target: TargetStatus, name: str, metadata: Metadata) -> dict[str, object]:
    """The name is left out where the request gave it."""
    named = {"metric": name} if name else {}
    said = {"type": metadata.type.value, "help": metadata.help, "unit": metadata.unit}
    return {"target": dict(target.labels), **named, **said}


def _dropped(target: DroppedTarget) -> dict[str, object]:
    return {"discoveredLabels": dict(target.discovered_labels), "scrapePool": target.scrape_pool}
