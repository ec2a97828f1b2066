"""What every check can be told in the agent's settings; a check adds its own fields in a subclass beside it."""

import re
from collections.abc import Iterable

import msgspec

from nunchi.kit.durations import Duration

INTERVAL_MS_MIN = 100
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
IDENTITY_LABELS = frozenset({"job", "instance", "__name__"})


class CheckSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An interval and a deadline of its own, or the agent's; `enabled: false` leaves the check out.

    `labels` are added to all its samples: what tells two instances of one check apart.
    """

    enabled: bool = True
    interval: Duration | None = None
    deadline: Duration | None = None
    labels: dict[str, str] = {}


def check_fault(own: CheckSettings) -> tuple[str, str] | None:
    """Which of the settings that all checks have cannot be, and why; a check's own it judges itself."""
    if own.interval is not None and (fault := interval_fault(own.interval)):
        return "interval", fault
    if fault := label_fault(own.labels):
        return "labels", fault
    if own.enabled and getattr(own, "targets", None) == ():
        return "targets", "there is nothing to probe: name targets"
    return None


def interval_fault(interval: Duration) -> str:
    """Why nothing can be done so often; empty where it can."""
    return f"{INTERVAL_MS_MIN}ms is the shortest interval" if interval.ms < INTERVAL_MS_MIN else ""


def label_fault(names: Iterable[str]) -> str:
    """Why one of these cannot be the name of a label that the settings add; empty where all can."""
    for name in names:
        if name in IDENTITY_LABELS:
            return f'"{name}" says who a series is and cannot be set: choose another name'
        if not LABEL_NAME.fullmatch(name) or name.startswith("__"):
            return f'"{name}" is not a label\'s name: use letters, digits and _, no digit and no __ at its beginning'
    return ""
