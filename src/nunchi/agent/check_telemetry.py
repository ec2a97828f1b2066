"""What the agent counts about its checks: runs, failures, overruns, durations, samples."""

from nunchi.agent.emission import Emission
from nunchi.agent.errors import Unavailable
from nunchi.kit.telemetry import Telemetry


class CheckTelemetry:
    """Instruments by name of the check instance. A failure's reason: exception, unavailable, deadline."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.runs = telemetry.counter("agent_check_runs_total", "Runs that ended.", "check")
        self.failures = telemetry.counter("agent_check_failures_total", "Runs that failed.", "check", "reason")
        self.overruns = telemetry.counter(
            "agent_check_overruns_total", "Times a run was due while the one before was stuck.", "check"
        )
        self.dropped = telemetry.counter(
            "agent_check_samples_dropped_total", "Samples beyond what one run may emit.", "check"
        )
        self.duration = telemetry.gauge("agent_check_duration_seconds", "How long the last run took.", "check")
        self.samples = telemetry.gauge("agent_check_samples", "Samples of the last run.", "check")
        self.stuck = telemetry.gauge(
            "agent_check_stuck", "1 while a run is past its deadline and has not ended.", "check"
        )

    def record(self, check: str, duration_seconds: float, emission: Emission, error: BaseException | None) -> None:
        """A run has ended in time."""
        self.runs.add(1, check)
        self.duration.set(duration_seconds, check)
        self.samples.set(len(emission.samples), check)
        self.stuck.set(0, check)
        if emission.dropped:
            self.dropped.add(emission.dropped, check)
        if error is not None:
            self.failures.add(1, check, "unavailable" if isinstance(error, Unavailable) else "exception")

    def expire(self, check: str) -> None:
        """A run has missed its deadline."""
        self.failures.add(1, check, "deadline")
        self.stuck.set(1, check)

    def recover(self, check: str) -> None:
        """A run that missed its deadline has ended after all."""
        self.runs.add(1, check)
        self.stuck.set(0, check)
