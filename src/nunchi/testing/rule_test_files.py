"""Files of rule tests, in Prometheus's form: samples in the series notation, and what expressions and alerts then must say.

Invariant: what `load_rule_tests` returns can be run; series, values and labels in it are read when they are needed.
"""

import msgspec

from nunchi.kit.durations import Duration
from nunchi.kit.settings import FieldError


class InputSeries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A series, and its values one `interval` apart."""

    series: str = ""
    values: str = ""


class ExpectedAlert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A firing alert; `alertname` need not be among the labels."""

    labels: dict[str, str] = msgspec.field(default_factory=dict, name="exp_labels")
    annotations: dict[str, str] = msgspec.field(default_factory=dict, name="exp_annotations")


class AlertTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alerts of one name fire at a time, none besides them."""

    alert: str = msgspec.field(default="", name="alertname")
    eval_time: Duration = Duration(0)
    alerts: tuple[ExpectedAlert, ...] = msgspec.field(default=(), name="exp_alerts")

    def __post_init__(self) -> None:
        """Nothing can be expected of an alert without a name."""
        if not self.alert:
            raise FieldError("alertname is missing: name the alerting rule", "alertname")


class ExpectedSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One element of an expression's value; a histogram is written in the series notation."""

    labels: str = ""
    value: float = 0.0
    histogram: str = ""


class ExpressionTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an expression gives at a time, in any order."""

    expression: str = msgspec.field(default="", name="expr")
    eval_time: Duration = Duration(0)
    samples: tuple[ExpectedSample, ...] = msgspec.field(default=(), name="exp_samples")


class RuleTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `tests`: a store of its own, and what is asked of it.

    interval         between the values of a series; without it the file's evaluation interval
    start_timestamp  the time of the first values: seconds since 1970, or RFC 3339; all times of the test count from it
    """

    name: str = ""
    interval: Duration | None = None
    start_timestamp: str = ""
    input_series: tuple[InputSeries, ...] = ()
    alert_tests: tuple[AlertTest, ...] = msgspec.field(default=(), name="alert_rule_test")
    expression_tests: tuple[ExpressionTest, ...] = msgspec.field(default=(), name="promql_expr_test")
    external_labels: dict[str, str] = msgspec.field(default_factory=dict)
    external_url: str = ""

    @property
    def end_ms(self) -> int:
        """The last time that something is asked of, from the start."""
        times = [one.eval_time.ms for one in self.alert_tests]
        return max([*times, *(one.eval_time.ms for one in self.expression_tests)], default=0)


class RuleTestFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. `group_eval_order` puts groups of rules in order; the others come first.

    fuzzy_compare  numbers may differ by their last bit
    """

    rule_files: tuple[str, ...] = ()
    evaluation_interval: Duration = Duration(60_000)
    group_eval_order: tuple[str, ...] = ()
    fuzzy_compare: bool = False
    tests: tuple[RuleTest, ...] = ()

    def __post_init__(self) -> None:
        """Intervals are lengths, names of groups stand once."""
        for place, name in enumerate(self.group_eval_order):
            if name in self.group_eval_order[:place]:
                raise FieldError(f'the group "{name}" stands here twice: remove one', "group_eval_order", place)
        if self.evaluation_interval.ms <= 0:
            raise FieldError("must be longer than 0s", "evaluation_interval")
        for place, test in enumerate(self.tests):
            if test.interval is not None and test.interval.ms <= 0:
                raise FieldError("must be longer than 0s", "tests", place, "interval")
