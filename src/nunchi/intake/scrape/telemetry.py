"""What scraping tells about itself. One instance for all pools; label values are job names."""

from nunchi.kit.telemetry import Telemetry


class ScrapeTelemetry:
    """Counters and gauges of all scrapes; names say what is counted."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.scrapes = telemetry.counter("nunchi_scrapes_total", "Scrapes made, by job and outcome.", "job", "outcome")
        self.body_bytes = telemetry.counter("nunchi_scrape_body_bytes_total", "Bytes of expositions, decoded.", "job")
        self.duplicates = telemetry.counter(
            "nunchi_scrape_samples_duplicate_total", "Samples whose series stood earlier in the same exposition.", "job"
        )
        self.missed = telemetry.counter(
            "nunchi_scrapes_missed_total", "Scrapes left out because the one before took too long.", "job"
        )
        self.connections = telemetry.counter("nunchi_scrape_connections_total", "Connections opened to targets.")
        self.syncs = telemetry.counter(
            "nunchi_scrape_pool_syncs_total", "Times a job's targets were worked out anew.", "job"
        )
        self.targets = telemetry.gauge(
            "nunchi_scrape_targets", "Targets of a job, by what became of them.", "job", "state"
        )
