"""Instances of one check that would show the same series: one of them would hide the other, so they are refused.

Invariant: of two instances that are let through, each has a label, a target or a setting that the other has not.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from nunchi.agent.check import Check
from nunchi.agent.check_service import ServiceCheck
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.probing import ProbeCheck
from nunchi.kit.settings import SettingsError

CURE = "give each its own, as in labels: {server: one}"


def require_apart(path: Path, check: type[Check], instances: Sequence[CheckSettings]) -> None:
    """The instances of a file can be told apart. Raises SettingsError."""
    seen: list[CheckSettings] = []
    for own in instances:
        if not own.enabled:
            continue
        for other in seen:
            if own.labels == other.labels and (likeness := likeness_of(check, own, other)):
                raise SettingsError(str(path), None, f"two instances of {check.name} {likeness}: {CURE}")
        seen.append(own)


def likeness_of(check: type[Check], own: CheckSettings, other: CheckSettings) -> str:
    """What two instances with the same labels have in common that they must not; empty where they show different series.

    A service's check shows the same names whatever it asks, a probe one series for each target; others may differ by what
    they leave out.
    """
    if issubclass(check, ServiceCheck):
        return "have the same labels"
    if issubclass(check, ProbeCheck):
        shared = set(getattr(own, "targets", ())) & set(getattr(other, "targets", ()))
        return f"have the same labels and the target {min(shared)}" if shared else ""
    return "are the same but for when they run" if _without_times(own) == _without_times(other) else ""


def _without_times(own: CheckSettings) -> CheckSettings:
    return msgspec.structs.replace(own, interval=None, deadline=None)
