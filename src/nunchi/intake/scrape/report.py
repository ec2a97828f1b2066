"""The series that every scrape leaves behind, failed ones too: not relabelled, not limited, with the target's labels."""

from dataclasses import dataclass

REPORT_NAMES = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
EXTRA_REPORT_NAMES = ("scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes")

BODY_TOO_LARGE = -1


@dataclass(frozen=True, slots=True)
class Report:
    """What one scrape says of itself. `body_bytes` is `BODY_TOO_LARGE` where the body's limit was exceeded."""

    is_up: bool
    duration_seconds: float
    samples: int = 0
    samples_kept: int = 0
    series_added: int = 0
    body_bytes: int = 0

    def values(self) -> list[float]:
        """In the order of `REPORT_NAMES`."""
        return [float(self.is_up), self.duration_seconds, self.samples, self.samples_kept, self.series_added]

    def extra_values(self, timeout_ms: int, samples_max: int) -> list[float]:
        """In the order of `EXTRA_REPORT_NAMES`."""
        return [timeout_ms / 1000, samples_max, self.body_bytes]


def report_names(*, extra: bool) -> tuple[str, ...]:
    """The names of the report's series, in order."""
    return REPORT_NAMES + EXTRA_REPORT_NAMES if extra else REPORT_NAMES
