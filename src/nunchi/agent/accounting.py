"""Where every sample is: collected + recovered = acknowledged + queued + dropped, at any moment. Loss is a number, not a
guess.
"""

from nunchi.kit.telemetry import Counter, Telemetry


class Accounting:
    """Samples by fate. Reasons of drops: duplicate, no_name, spool_full, too_old, spool_damaged, refused."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.collected: Counter = telemetry.counter("agent_samples_collected_total", "Samples that checks emitted.")
        self.recovered = telemetry.counter(
            "agent_samples_recovered_total",
            "Samples that an earlier start of this agent had collected and not delivered.",
        )
        self.sent = telemetry.counter("agent_samples_sent_total", "Samples sent, those sent again among them.")
        self.acknowledged = telemetry.counter(
            "agent_samples_acknowledged_total", "Samples that the server has taken over; those it rejected among them."
        )
        self.duplicates = telemetry.counter(
            "agent_samples_duplicate_total",
            "Acknowledged samples that the server had before: an earlier answer was lost.",
        )
        self.rejected = telemetry.counter(
            "agent_samples_rejected_total",
            "Acknowledged samples that the server did not store, in its own words.",
            "reason",
        )
        self.dropped = telemetry.counter("agent_samples_dropped_total", "Samples that were given up here.", "reason")
        self._queued = telemetry.gauge("agent_samples_queued", "Samples that wait for the server.")
        self.queued = 0
        self._queued.observe_with(lambda: self.queued)

    def drop(self, reason: str, samples: int) -> None:
        """Samples that waited are given up."""
        self.queued -= samples
        self.dropped.add(samples, reason)

    def is_balanced(self) -> bool:
        """The invariant."""
        came = self.collected.total() + self.recovered.total()
        return came == self.acknowledged.total() + self.queued + self.dropped.total()
