"""What the targets page and the targets API show. Snapshots; nothing here changes by itself."""

from dataclasses import dataclass

from nunchi.intake.scrape.target import Health
from nunchi.model.labels import Labels


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target and its last scrape. Times in seconds since the epoch, 0 where there was none."""

    discovered_labels: Labels
    labels: Labels
    scrape_pool: str
    scrape_url: str
    global_url: str
    health: Health
    last_error: str
    last_scrape: float
    last_scrape_duration_seconds: float
    interval_ms: int
    timeout_ms: int
    samples: int
    samples_kept: int
    mechanism: str


@dataclass(frozen=True, slots=True)
class DroppedTarget:
    """A discovered label set that relabelling dropped, or that cannot be a target.

    `rule` is the relabelling rule that dropped it, counted from 0; `error` says why where no rule did.
    """

    discovered_labels: Labels
    scrape_pool: str
    rule: int | None
    error: str
