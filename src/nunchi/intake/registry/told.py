"""AgentInfo as pages and API may rely on it: what an agent told of itself, each field of the type it should have.

Invariant: whatever an agent sends, what comes out is of these types; a field of another type counts as not told.
"""

from typing import Any

import msgspec


class ToldCheck(msgspec.Struct, frozen=True):
    """One check instance. Times by the agent's clock. `is_absent`: its host has not what it would show, which is no failure."""

    name: str = ""
    error: str = ""
    is_stuck: bool = False
    is_absent: bool = False
    interval_seconds: float = 0.0
    duration_seconds: float | None = None
    last_run_ms: int = 0
    next_run_ms: int = 0
    samples: int = 0


class ToldAccounting(msgspec.Struct, frozen=True):
    """Samples by fate, since the agent's start."""

    collected: int = 0
    recovered: int = 0
    acknowledged: int = 0
    queued: int = 0
    duplicate: int = 0
    dropped: dict[str, int] = {}


class AgentInfo(msgspec.Struct, frozen=True):
    """One heartbeat. `outage_seconds_left`: how long the server may be away before the spool drops something."""

    addresses: list[str] = []
    started_at_ms: int = 0
    tags: list[str] = []
    labels: dict[str, str] = {}
    settings_error: str = ""
    outage_seconds_left: float | None = None
    accounting: ToldAccounting = ToldAccounting()
    checks: list[ToldCheck] = []

    @property
    def checks_failed(self) -> int:
        """Checks whose latest run failed, or has not ended in time."""
        return sum((bool(one.error) and not one.is_absent) or one.is_stuck for one in self.checks)


_FIELDS = {field.name: field.type for field in msgspec.structs.fields(AgentInfo)}


def parse_info(told: dict[str, Any]) -> AgentInfo:
    """What of a heartbeat can be shown."""
    known = {}
    for name, type_ in _FIELDS.items():
        try:
            known[name] = msgspec.convert(told[name], type_)
        except (KeyError, msgspec.ValidationError):
            continue
    return AgentInfo(**known)
