"""The Alertmanagers outside, as sending takes them: where they are, how to connect, how their alerts are relabelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.model.relabel import RelabelRule


@dataclass(frozen=True, slots=True)
class AlertmanagerGroup:
    """Addresses (`host:port`) that share labels, which relabelling sees."""

    targets: Sequence[str]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertmanagerSettings:
    """Alertmanagers that are connected to in one way. Files that `http` names are below the folder given with these."""

    groups: Sequence[AlertmanagerGroup]
    http: HttpClientSettings = HttpClientSettings()  # noqa: RUF009 (frozen)
    scheme: str = "http"
    path_prefix: str = "/"
    timeout_seconds: float = 10.0
    relabel_configs: Sequence[RelabelRule] = ()
    alert_relabel_configs: Sequence[RelabelRule] = ()
