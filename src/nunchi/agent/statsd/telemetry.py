"""What the agent counts about StatsD. Lines that came = applied + malformed, samples dropped are told by reason."""

from collections.abc import Mapping

from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry

EXAMPLE_SECONDS_MIN = 60.0


class StatsdTelemetry:
    """Instruments. Of malformed lines one a minute is shown in the log."""

    def __init__(self, telemetry: Telemetry, clock: Clock, log: Logger) -> None:
        self._clock = clock
        self._log = log
        self._shown_at = float("-inf")
        self.lines = telemetry.counter("agent_statsd_lines_total", "Lines received, malformed ones among them.")
        self.malformed = telemetry.counter("agent_statsd_malformed_total", "Lines that cannot be read.", "reason")
        self.dropped = telemetry.counter(
            "agent_statsd_dropped_total",
            "What was lost here: samples without a place, datagrams that the kernel dropped or that were cut, streams.",
            "reason",
        )
        self.refused = telemetry.counter(
            "agent_statsd_series_refused_total", "Series as sent without a place.", "reason"
        )
        self.delivered = telemetry.counter(
            "agent_statsd_happenings_delivered_total", "Events and service checks that the server has taken."
        )
        self.series = telemetry.gauge("agent_statsd_series", "Series kept.")
        self.connections = telemetry.gauge("agent_statsd_connections", "Streams open.")

    def count_malformed(self, malformed: Mapping[str, int], example: str) -> None:
        """Lines by reason."""
        for reason, count in malformed.items():
            self.malformed.add(count, reason)
        now = self._clock.monotonic()
        if now - self._shown_at >= EXAMPLE_SECONDS_MIN:
            self._shown_at = now
            self._log.warning("statsd lines cannot be read", lines=sum(malformed.values()), first=example)
