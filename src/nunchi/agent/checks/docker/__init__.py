"""A Docker engine and its containers: what they use, under cAdvisor's names; their state; facts of the engine, under the names
of Docker's own metrics.

Use is read from the containers' control groups, which costs the engine nothing; `source: api` asks the engine instead.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from nunchi.agent.cgroups import cgroup_of_process, emit_cgroup
from nunchi.agent.check import Context
from nunchi.agent.check_service import ServiceCheck
from nunchi.agent.checks.docker.containers import (
    ContainerFilter,
    container_labels,
    emit_facts,
    emit_network,
    owns_network,
)
from nunchi.agent.checks.docker.engine import emit_engine, emit_images
from nunchi.agent.checks.docker.stats import emit_stats
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.http import HttpAsker, HttpCheckSettings
from nunchi.agent.errors import ServiceError
from nunchi.agent.patterns import compile_pattern
from nunchi.kit.settings import FieldError

CONTAINERS_MAX = 500
ANSWER_BYTES_MAX = 64 << 20


class DockerSettings(HttpCheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`include`, `exclude`: regular expressions by label; containers are shown that match all of one, none of the other."""

    address: str = "unix:/var/run/docker.sock"
    source: Literal["cgroup", "api"] = "cgroup"
    container_labels: str = ".*"
    include: dict[str, str] = msgspec.field(default_factory=dict)
    exclude: dict[str, str] = msgspec.field(default_factory=dict)
    sizes: bool = False
    images: bool = False
    containers_max: int = CONTAINERS_MAX

    def __post_init__(self) -> None:
        compile_pattern("container_labels", self.container_labels)
        for pattern in (*self.include.values(), *self.exclude.values()):
            compile_pattern("include and exclude", pattern)
        if not self.address.startswith(("unix:", "/", "http://", "https://")):
            raise FieldError(f"{self.address!r}: write unix:/path, http://host:port or https://host:port", "address")


class DockerCheck(ServiceCheck):
    """`engine_daemon_*`, `container_*`, `docker_up`."""

    name = "docker"
    job = "docker"
    up_metric = "docker_up"
    settings_type = DockerSettings

    def __init__(self, settings: DockerSettings) -> None:
        super().__init__(settings)
        self._own = settings
        is_socket = not settings.address.startswith("http")
        self._asker = HttpAsker(settings, settings.address.removeprefix("unix:") if is_socket else "")
        self._base = "http://docker" if is_socket else settings.address.rstrip("/")
        self._filter = ContainerFilter(settings.include, settings.exclude)
        self._version: dict[str, Any] = {}

    @property
    def target(self) -> str:
        """See `ServiceCheck.target`."""
        return (
            self._own.address if self._base == "http://docker" else f"{urlsplit(self._base).netloc.rpartition('@')[2]}"
        )

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        info = self._ask("/info", deadline)
        if not self._version:
            self._version = self._ask("/version", deadline)
        emit_engine(context.emit, info, self._version)
        if self._own.images:
            emit_images(context.emit, self._ask("/images/json?all=1", deadline))
        listed = self._ask(f"/containers/json?all=1{'&size=1' if self._own.sizes else ''}", deadline)
        shown: list[tuple[dict[str, Any], dict[str, str]]] = []
        for item in listed:
            labels = container_labels(item, self._own.container_labels)
            if self._filter.accepts(labels, item.get("Labels") or {}):
                shown.append((item, labels))
        context.emit.gauge("docker_containers_omitted", max(0, len(shown) - self._own.containers_max))
        for item, labels in shown[: self._own.containers_max]:
            self._measure_container(context, item, labels, deadline)

    def _measure_container(
        self, context: Context, item: Mapping[str, Any], labels: Mapping[str, str], deadline: Deadline
    ) -> None:
        try:
            details = self._ask(f"/containers/{item['Id']}/json", deadline)
        except _GoneError:
            return
        pid = int(details["State"].get("Pid") or 0)
        cgroup = cgroup_of_process(context.root, pid) if pid and self._own.source == "cgroup" else None
        identity = {"id": cgroup.id if cgroup else f"/docker/{item['Id']}", **labels}
        emit_facts(context, item, details, identity)
        if not pid:
            return
        if cgroup is not None and emit_cgroup(context.emit, context.root, cgroup, identity):
            if owns_network(details):
                emit_network(context, pid, identity)
        else:
            try:
                stats = self._ask(f"/containers/{item['Id']}/stats?stream=false&one-shot=true", deadline)
            except _GoneError:
                return
            emit_stats(context.emit, stats, identity)

    def _ask(self, path: str, deadline: Deadline) -> Any:
        answer = self._asker.ask(f"{self._base}{path}", deadline, body_bytes_max=ANSWER_BYTES_MAX)
        if answer.status in (404, 409) and path.startswith("/containers/"):
            raise _GoneError(path)
        if answer.status != 200:
            raise ServiceError(f"{self.target}: {path} answers {answer.status} {answer.reason}")
        try:
            return json.loads(answer.body)
        except ValueError as error:
            raise ServiceError(f"{self.target}: {path} is not answered in JSON: is this a Docker engine?") from error


class _GoneError(Exception):
    """A container ended between the list and the question."""
