"""What the agent counts about relaying, by source."""

from nunchi.kit.telemetry import Telemetry


class RelayTelemetry:
    """Instruments. An outcome of a request: taken, unauthorized, refused, too_large, full."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.requests = telemetry.counter(
            "agent_relay_requests_total", "Requests of sources, by what became of them.", "source", "format", "outcome"
        )
        self.samples = telemetry.counter(
            "agent_relay_samples_total", "Samples of sources that were put into the spool.", "source"
        )
        self.dropped = telemetry.counter(
            "agent_relay_samples_dropped_total", "Samples of sources that were not taken.", "source", "reason"
        )
        self.series = telemetry.gauge("agent_relay_series", "Series that sources have sent lately.", "source")
        self.passed = telemetry.counter(
            "agent_relay_passed_total", "Requests of other agents passed on to the server.", "agent", "status"
        )
