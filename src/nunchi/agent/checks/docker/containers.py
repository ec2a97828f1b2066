"""Who a container is, how it is, and what its network counts."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nunchi.agent.check import Context

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTH = ("starting", "healthy", "unhealthy")
NOT_A_LABEL = re.compile(r"[^a-zA-Z0-9_]")
NETWORK_COLUMNS = {
    "receive_bytes": 0,
    "receive_packets": 1,
    "receive_errors": 2,
    "receive_packets_dropped": 3,
    "transmit_bytes": 8,
    "transmit_packets": 9,
    "transmit_errors": 10,
    "transmit_packets_dropped": 11,
}


class ContainerFilter:
    """Which containers are shown, by regular expressions on their labels."""

    def __init__(self, include: Mapping[str, str], exclude: Mapping[str, str]) -> None:
        self._include = {label: re.compile(pattern) for label, pattern in include.items()}
        self._exclude = {label: re.compile(pattern) for label, pattern in exclude.items()}

    def accepts(self, shown: Mapping[str, str], own: Mapping[str, str]) -> bool:
        """`shown` are the labels of its series, `own` those of the container, whether shown or not."""
        labels = {**{label_name(key): value for key, value in own.items()}, **shown}
        is_included = all(pattern.search(labels.get(label, "")) for label, pattern in self._include.items())
        is_excluded = any(pattern.search(labels.get(label, "")) for label, pattern in self._exclude.items())
        return is_included and not is_excluded


def label_name(key: str) -> str:
    """The label that shows a container's label, as cAdvisor spells it."""
    return f"container_label_{NOT_A_LABEL.sub('_', key)}"


def container_labels(item: Mapping[str, Any], pattern: str) -> dict[str, str]:
    """`name`, `image`, and the container's labels whose keys match."""
    labels = {
        label_name(key): str(value) for key, value in (item.get("Labels") or {}).items() if re.search(pattern, key)
    }
    labels["image"] = str(item.get("Image") or "")
    labels["name"] = str((item.get("Names") or [item["Id"][:12]])[0]).removeprefix("/")
    return labels


def emit_facts(
    context: Context, item: Mapping[str, Any], details: Mapping[str, Any], labels: Mapping[str, str]
) -> None:
    """State, health, restarts, exit, times and sizes."""
    emit, state = context.emit, details["State"]
    for one in STATES:
        emit.gauge("container_state", 1 if state.get("Status") == one else 0, **labels, state=one)
    health = (state.get("Health") or {}).get("Status", "")
    if health and health != "none":
        for one in HEALTH:
            emit.gauge("container_health_status", 1 if health == one else 0, **labels, status=one)
        emit.gauge("container_health_failing_streak", float(state["Health"].get("FailingStreak") or 0), **labels)
    emit.counter("container_restarts_total", float(details.get("RestartCount") or 0), **labels)
    started, finished = seconds_of(state.get("StartedAt")), seconds_of(state.get("FinishedAt"))
    if started:
        emit.gauge("container_start_time_seconds", started, **labels)
    if state.get("Pid"):
        emit.gauge("container_last_seen", float(int(context.clock.now())), **labels)
    elif finished:
        emit.gauge("container_finish_time_seconds", finished, **labels)
        emit.gauge("container_exit_code", float(state.get("ExitCode") or 0), **labels)
        emit.gauge("container_oom_killed", 1 if state.get("OOMKilled") else 0, **labels)
    for key, metric in (("SizeRw", "container_size_rw_bytes"), ("SizeRootFs", "container_size_rootfs_bytes")):
        if item.get(key) is not None:
            emit.gauge(metric, float(item[key]), **labels)


def seconds_of(text: str | None) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0 where Docker says that it has not happened."""
    if not text or text.startswith("0001-"):
        return 0.0
    return datetime.fromisoformat(text).timestamp()


def owns_network(details: Mapping[str, Any]) -> bool:
    """Whether its devices are its own, not the host's or another container's, which show them already."""
    mode = str((details.get("HostConfig") or {}).get("NetworkMode") or "")
    return mode != "host" and not mode.startswith("container:")


def emit_network(context: Context, pid: int, labels: Mapping[str, str]) -> None:
    """The devices of a container's network but loopback."""
    try:
        lines = context.root.proc_lines(f"{pid}/net/dev")[2:]
    except OSError:
        return
    for line in lines:
        device, _, rest = line.rpartition(":")
        fields = rest.split()
        if device.strip() == "lo" or len(fields) < 16:
            continue
        for family, column in NETWORK_COLUMNS.items():
            name = f"container_network_{family}_total"
            context.emit.counter(name, float(fields[column]), **labels, interface=device.strip())
