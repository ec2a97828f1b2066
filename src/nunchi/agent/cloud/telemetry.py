"""What is counted of clouds: calls, what they cost, what came back, how far behind it is."""

from nunchi.kit.telemetry import Telemetry


class CloudTelemetry:
    """Instruments by account and region. `metrics_requested` is what GetMetricData is billed by, `calls` what all else is."""

    def __init__(self, telemetry: Telemetry) -> None:
        place = ("account", "region")
        self.calls = telemetry.counter(
            "agent_cloud_calls_total", "Calls of a cloud's API, by how they ended.", *place, "api", "outcome"
        )
        self.metrics_requested = telemetry.counter(
            "agent_cloud_metrics_requested_total", "Metrics requested: the unit that is billed.", *place, "api"
        )
        self.results = telemetry.counter(
            "agent_cloud_results_total", "Results of metrics, by the status that the cloud gave them.", *place, "status"
        )
        self.samples = telemetry.counter("agent_cloud_samples_total", "Values handed on to the server.", *place)
        self.corrected = telemetry.counter(
            "agent_cloud_samples_corrected_total", "Values handed on again because the cloud changed them.", *place
        )
        self.dropped = telemetry.counter(
            "agent_cloud_dropped_total", "What was given up between clippers.", "queue", "reason"
        )
        self.clips = telemetry.counter(
            "agent_cloud_clips_total", "Rounds of clippers, by how they ended.", *place, "kind", "outcome"
        )
        self.up = telemetry.gauge("agent_cloud_up", "1 where the last round had no problem.", *place, "kind")
        self.duration = telemetry.gauge("agent_cloud_clip_duration_seconds", "The last round.", *place, "kind")
        self.behind = telemetry.gauge(
            "agent_cloud_behind_seconds", "How far the newest complete window is behind what the delay allows.", *place
        )
        self.series = telemetry.gauge("agent_cloud_series", "Series that are asked for.", *place)
        self.resources = telemetry.gauge("agent_cloud_resources", "Resources of the inventory.", *place)
        self.configured = telemetry.gauge("agent_cloud_configured", "1 where there is a cloud configuration.")

    def forget(self, account: str, region: str) -> None:
        """Show no state of a place that is not watched any more."""
        for gauge in (self.up, self.duration):
            for kind in ("metrics", "resources"):
                gauge.remove(account, region, kind)
        for gauge in (self.behind, self.series, self.resources):
            gauge.remove(account, region)
