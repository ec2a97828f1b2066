"""Numbers about rules, under the names that dashboards for Prometheus ask for."""

from nunchi.kit.telemetry import Telemetry

_GROUP = "rule_group"


class RuleTelemetry:
    """Counters of all groups; a group is named by its file and name."""

    def __init__(self, telemetry: Telemetry) -> None:
        counter, gauge = telemetry.counter, telemetry.gauge
        self._evaluations = counter("prometheus_rule_evaluations_total", "Rules evaluated.", _GROUP)
        self._failures = counter("prometheus_rule_evaluation_failures_total", "Rules that failed.", _GROUP)
        self._rule_seconds = telemetry.histogram(
            "prometheus_rule_evaluation_duration_seconds", "How long the evaluation of one rule took."
        )
        self._group_seconds = telemetry.histogram(
            "prometheus_rule_group_duration_seconds", "How long the evaluation of one group took."
        )
        self._iterations = counter("prometheus_rule_group_iterations_total", "Slots, evaluated or missed.", _GROUP)
        self._missed = counter(
            "prometheus_rule_group_iterations_missed_total", "Slots missed because evaluation was slow.", _GROUP
        )
        self._rejected = counter(
            "nunchi_rule_samples_rejected_total", "Results that the store refused.", _GROUP, "reason"
        )
        self._interval = gauge("prometheus_rule_group_interval_seconds", "The interval of a group.", _GROUP)
        self._rules = gauge("prometheus_rule_group_rules", "The number of rules of a group.", _GROUP)
        self._last_seconds = gauge("prometheus_rule_group_last_duration_seconds", "The latest duration.", _GROUP)
        self._last_samples = gauge("prometheus_rule_group_last_evaluation_samples", "The latest cells.", _GROUP)
        self._last_at = gauge("prometheus_rule_group_last_evaluation_timestamp_seconds", "The latest slot.", _GROUP)
        self._gauges = (self._interval, self._rules, self._last_seconds, self._last_samples, self._last_at)

    def rule_evaluated(self, group: str, seconds: float) -> None:
        """One rule, whether it failed or not."""
        self._evaluations.add(1, group)
        self._rule_seconds.observe(seconds)

    def rule_failed(self, group: str) -> None:
        """One rule without a result."""
        self._failures.add(1, group)

    def evaluated(self, group: str, at_ms: int, seconds: float, cells: int) -> None:
        """One group."""
        self._iterations.add(1, group)
        self._group_seconds.observe(seconds)
        self._last_seconds.set(seconds, group)
        self._last_samples.set(cells, group)
        self._last_at.set(at_ms / 1000, group)

    def missed(self, group: str, count: int) -> None:
        """Slots without an evaluation."""
        self._iterations.add(count, group)
        self._missed.add(count, group)

    def rejected(self, group: str, reasons: dict[str, int]) -> None:
        """Cells that the store refused."""
        for reason, count in reasons.items():
            self._rejected.add(count, group, reason)

    def add_group(self, group: str, interval_seconds: float, rules: int) -> None:
        """A group exists from now on."""
        self._interval.set(interval_seconds, group)
        self._rules.set(rules, group)
        self._failures.add(0, group)
        self._missed.add(0, group)

    def remove_group(self, group: str) -> None:
        """A group is gone."""
        for gauge in self._gauges:
            gauge.remove(group)
