"""What the web shows: plain views, and the protocols of who gives them. The web knows no concrete class of the server.

Every method of a source is a cheap snapshot of present state: it neither waits nor computes. Times are milliseconds since
the epoch, 0 for what has not happened yet; durations are float seconds. What intake and rules publish is shown as it is.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nunchi.intake.scrape.status import DroppedTarget, TargetStatus
from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher
from nunchi.model.metadata import Metadata
from nunchi.notify.alert_group import AlertGroup
from nunchi.notify.inbox import Refusal
from nunchi.notify.notifier import AlertStanding
from nunchi.notify.settings import NotifySettings
from nunchi.notify.silences import Silences
from nunchi.rules.status import RuleGroupStatus
from nunchi.wire.exposition_format import ExpositionFormat


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent that pushes: its identity labels, its latest accepted round, and how far it was behind the clock then.

    samples  accepted from it since it was first heard of
    """

    job: str
    instance: str
    is_up: bool
    last_round_ms: int
    lag_seconds: float
    interval_seconds: float
    samples: int
    address: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class BuildView:
    """Which program this is; `version` is what clients of Prometheus's API compare."""

    version: str
    revision: str
    branch: str
    build_user: str
    build_date: str
    python_version: str

    def shown(self) -> Mapping[str, str]:
        """Under the names of Prometheus and Alertmanager."""
        return {
            "version": self.version,
            "revision": self.revision,
            "branch": self.branch,
            "buildUser": self.build_user,
            "buildDate": self.build_date,
            "goVersion": f"python{self.python_version}",
        }


@dataclass(frozen=True, slots=True)
class RuntimeView:
    """How this process runs, and how its latest reload of the configuration ended."""

    started_ms: int
    working_directory: str
    hostname: str
    cores: int
    threads: int
    tasks: int
    memory_bytes: int
    is_reload_successful: bool
    configuration_ms: int
    storage_retention: str


@dataclass(frozen=True, slots=True)
class NotificationView:
    """Something about the process that whoever looks at it should know, and since when."""

    text: str
    since_ms: int


class TargetSource(Protocol):
    """Who scrapes."""

    def targets(self) -> Sequence[TargetStatus]:
        """Targets that are scraped, in the order of the configuration."""
        ...

    def dropped_targets(self) -> Sequence[DroppedTarget]:
        """Targets that relabelling dropped, as far as they are kept."""
        ...

    def dropped_counts(self) -> Mapping[str, int]:
        """How many were dropped, by job; every job is there."""
        ...

    def metadata(self, target: TargetStatus) -> Mapping[str, Metadata]:
        """What a target says of its metric families, by name."""
        ...


class AgentSource(Protocol):
    """Who hears from agents that push."""

    def agents(self) -> Sequence[AgentView]:
        """Every agent heard of."""
        ...


class RuleSource(Protocol):
    """Who evaluates rules."""

    def groups(self) -> Sequence[RuleGroupStatus]:
        """All groups, files in the order of the configuration."""
        ...


class StatusSource(Protocol):
    """Who knows the process."""

    def build(self) -> BuildView:
        """Which program this is."""
        ...

    def runtime(self) -> RuntimeView:
        """How it runs."""
        ...

    def flags(self) -> Mapping[str, str]:
        """Command line flags by name without dashes, defaults included; secrets redacted."""
        ...

    def configuration(self) -> str:
        """The configuration in force as YAML; secrets redacted."""
        ...

    def not_ready_reason(self) -> str:
        """Why not every query can be answered now; empty once ready."""
        ...

    def closed_reason(self) -> str:
        """Why nothing at all can be answered now; empty also while what is stored is loaded: stores know what they lack."""
        ...

    def loaded_ratio(self) -> float:
        """How much of what is stored can be asked, from 0 to 1."""
        ...

    def notifications(self) -> Sequence[NotificationView]:
        """What is not as it should be now; empty where all is well."""
        ...

    def external_labels(self) -> Labels:
        """Labels that go out with everything."""
        ...

    def metrics(self, exposition_format: ExpositionFormat) -> bytes:
        """The process's own telemetry as an exposition of text."""
        ...


class NotifySource(Protocol):
    """Who notifies people: what `/api/v2` shows and changes."""

    @property
    def settings(self) -> NotifySettings | None:
        """Routes and receivers; None where nobody is notified."""
        ...

    @property
    def silences(self) -> Silences:
        """What is muted."""
        ...

    def alerts(self) -> Sequence[Alert]:
        """Every alert that is known, those that have ended too."""
        ...

    def groups(self) -> Sequence[AlertGroup]:
        """Alerts as they are notified together."""
        ...

    def standing(self, alert: Alert) -> AlertStanding:
        """How an alert fares at present."""
        ...

    def put(self, alerts: Sequence[Alert]) -> Sequence[Refusal]:
        """Take alerts, and say which were refused."""
        ...


class Administration(Protocol):
    """Who can delete and copy what is stored. Unlike sources these take their time: each is called in a thread.

    All raise a `WorldError` where the disk does not allow it.
    """

    def delete_series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> None:
        """Samples of the series that match, both ends included, are no longer there for readers."""
        ...

    def clean_tombstones(self) -> None:
        """Give back the room of what was deleted."""
        ...

    def snapshot(self, name: str) -> Path:
        """A copy of everything committed, under this name; returns where."""
        ...


# Where alerts are sent to outside, as full URLs.
AlertmanagerUrls = Callable[[], Sequence[str]]

# Applies the configuration files again; raises an `InputError` and changes nothing where they are broken.
Reload = Callable[[], Awaitable[None]]

# Begins the end of the process, as SIGTERM does, and returns at once.
Quit = Callable[[], None]
