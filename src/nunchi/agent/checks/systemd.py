"""Units of systemd as `systemctl show` tells them, under the names of node_exporter's systemd collector.

Invariant: systemctl is started twice a run, its output bounded, and ended at the deadline.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from nunchi.agent.check import Check, Context
from nunchi.agent.check_service import DEADLINE_SHARE
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.emission import Emission
from nunchi.agent.errors import ServiceError, Unavailable
from nunchi.agent.patterns import compile_pattern

EXCLUDE = r".+\.(automount|device|mount|scope|slice)$"
STATES = ("activating", "active", "deactivating", "failed", "inactive")
PROPERTIES = (
    "Id,Type,LoadState,ActiveState,ActiveEnterTimestamp,NRestarts,TasksCurrent,TasksMax,LastTriggerUSec,"
    "NAccepted,NConnections,NRefused"
)
UNITS_MAX = 2000
VERSION = re.compile(r"\d+")
UNLIMITED = 1 << 63


class SystemdSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`unit_include` and `unit_exclude`: whole names of units."""

    unit_include: str = ".+"
    unit_exclude: str = EXCLUDE
    program: str = "systemctl"

    def __post_init__(self) -> None:
        compile_pattern("unit_include", self.unit_include)
        compile_pattern("unit_exclude", self.unit_exclude)


class SystemdCheck(Check):
    """`node_systemd_*`."""

    name = "systemd"
    settings_type = SystemdSettings
    is_default = False

    def __init__(self, settings: SystemdSettings) -> None:
        super().__init__(settings)
        self._program = settings.program
        self._include = re.compile(settings.unit_include)
        self._exclude = re.compile(settings.unit_exclude)

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        if not Path(context.root.host_path("/run/systemd/system")).exists() and self._program == "systemctl":
            raise Unavailable("this host was not started by systemd")
        seconds = context.deadline_seconds * DEADLINE_SHARE
        manager = next(blocks(self._ask(("show", "-p", "Version,SystemState"), seconds)), {})
        units = list(blocks(self._ask(("show", "--all", "--timestamp=unix", "-p", PROPERTIES, "*"), seconds)))[
            :UNITS_MAX
        ]
        emit_manager(context.emit, manager, units)
        for unit in units:
            name = unit.get("Id", "")
            if (
                self._include.fullmatch(name)
                and not self._exclude.fullmatch(name)
                and unit.get("LoadState") == "loaded"
            ):
                emit_unit(context.emit, name, unit)

    def _ask(self, words: tuple[str, ...], seconds: float) -> str:
        try:
            answer = subprocess.run(  # noqa: S603 - the operator's own settings name the program
                [self._program, *words], capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise ServiceError(f"{self._program} does not answer within {seconds:.3g} s") from error
        except OSError as error:
            raise Unavailable(f"{self._program}: {error.strerror}") from error
        if answer.returncode != 0:
            said = answer.stderr.decode(errors="replace").strip().split("\n")[0]
            raise ServiceError(f"{self._program} {words[0]}: {said or f'ends with {answer.returncode}'}")
        return answer.stdout.decode(errors="replace")


def blocks(text: str) -> Iterator[dict[str, str]]:
    """`Name=value` lines, a blank line between units."""
    for block in text.strip().split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines())
        found = {name: value for name, equal, value in pairs if equal}
        if found:
            yield found


def emit_manager(emit: Emission, manager: Mapping[str, str], units: list[dict[str, str]]) -> None:
    """The manager itself, and how many units are in each state."""
    version = VERSION.search(manager.get("Version", ""))
    if version:
        emit.gauge("node_systemd_version", float(version[0]), version=manager["Version"])
    emit.gauge("node_systemd_system_running", 1 if manager.get("SystemState") == "running" else 0)
    for state in STATES:
        emit.gauge("node_systemd_units", sum(unit.get("ActiveState") == state for unit in units), state=state)


def emit_unit(emit: Emission, name: str, unit: Mapping[str, str]) -> None:
    """One unit."""
    for state in STATES:
        is_in_state = unit.get("ActiveState") == state
        emit.gauge(
            "node_systemd_unit_state", 1 if is_in_state else 0, name=name, state=state, type=unit.get("Type", "")
        )
    started = find_seconds(unit.get("ActiveEnterTimestamp")) if unit.get("ActiveState") == "active" else 0.0
    emit.gauge("node_systemd_unit_start_time_seconds", started or 0.0, name=name)
    if name.endswith(".service"):
        emit_if(emit, "node_systemd_service_restart_total", unit.get("NRestarts"), name, is_counter=True)
        emit_if(emit, "node_systemd_unit_tasks_current", unit.get("TasksCurrent"), name)
        emit_if(emit, "node_systemd_unit_tasks_max", unit.get("TasksMax"), name)
    elif name.endswith(".timer"):
        emit.gauge(
            "node_systemd_timer_last_trigger_seconds", find_seconds(unit.get("LastTriggerUSec")) or 0.0, name=name
        )
    elif name.endswith(".socket"):
        emit_if(emit, "node_systemd_socket_accepted_connections_total", unit.get("NAccepted"), name, is_counter=True)
        emit_if(emit, "node_systemd_socket_current_connections", unit.get("NConnections"), name)
        emit_if(emit, "node_systemd_socket_refused_connections_total", unit.get("NRefused"), name, is_counter=True)


def emit_if(emit: Emission, metric: str, text: str | None, name: str, *, is_counter: bool = False) -> None:
    """A number, unless it is not set or without bound."""
    if text and text.isdecimal() and int(text) < UNLIMITED:
        (emit.counter if is_counter else emit.gauge)(metric, float(text), name=name)


def find_seconds(text: str | None) -> float | None:
    """Seconds since the epoch of `@1700000000`."""
    digits = (text or "").removeprefix("@")
    return float(digits) if digits.isdecimal() else None
