"""What is known of rule groups, rules and their alerts, as plain frozen values for APIs and pages.

Invariant: a snapshot shares nothing that changes; taking one costs Python work per alert and nothing else.
"""

from dataclasses import dataclass
from enum import Enum

from nunchi.model.alert import AlertState
from nunchi.model.labels import Labels


class RuleKind(Enum):
    """What a rule does with its result."""

    RECORDING = "recording"
    ALERTING = "alerting"


class RuleHealth(Enum):
    """How the last evaluation went."""

    UNKNOWN = "unknown"
    OK = "ok"
    ERROR = "err"


@dataclass(frozen=True, slots=True)
class AlertStatus:
    """One pending or firing alert. Times are milliseconds since the epoch, `keep_firing_since_ms` 0 where it does not apply."""

    labels: Labels
    annotations: Labels
    state: AlertState
    active_at_ms: int
    keep_firing_since_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """One rule. The fields after `alerts` are empty or zero for recording rules."""

    kind: RuleKind
    name: str
    expression: str
    labels: Labels
    health: RuleHealth
    last_error: str
    evaluation_seconds: float
    last_evaluation_ms: int
    alerts: tuple[AlertStatus, ...] = ()
    state: AlertState = AlertState.INACTIVE
    annotations: Labels = Labels()  # noqa: RUF009 (immutable)
    hold_seconds: float = 0
    keep_firing_seconds: float = 0


@dataclass(frozen=True, slots=True)
class RuleGroupStatus:
    """One rule group with its rules in order."""

    name: str
    file: str
    interval_seconds: float
    limit: int
    evaluation_seconds: float
    last_evaluation_ms: int
    iterations_missed: int
    rules: tuple[RuleStatus, ...]
