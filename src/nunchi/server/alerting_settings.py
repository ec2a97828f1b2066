"""`alerting` of Prometheus's configuration file: the Alertmanagers outside, and how alerts are relabelled for them.

It stands here because an entry speaks of discovery, which is intake's, and of sending, which is notify's.
"""

from typing import Literal

import msgspec

from nunchi.intake.discovery.static import refuse_urls
from nunchi.intake.mechanisms import DiscoverySettings, UnsupportedSettingsError, refuse_unsupported
from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.settings import Duration, FieldError
from nunchi.kit.sigv4_settings import Sigv4Settings
from nunchi.model.relabel import RelabelRule
from nunchi.notify.alertmanager_settings import AlertmanagerGroup, AlertmanagerSettings

WHERE = "alerting.alertmanagers"


class AlertmanagersSettings(DiscoverySettings, frozen=True, forbid_unknown_fields=True):
    """One entry of `alertmanagers`."""

    scheme: Literal["http", "https"] = "http"
    path_prefix: str = "/"
    timeout: Duration = Duration(10_000)
    api_version: Literal["v2"] = "v2"
    relabel_configs: tuple[RelabelRule, ...] = ()
    alert_relabel_configs: tuple[RelabelRule, ...] = ()
    sigv4: Sigv4Settings | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.relabel_configs:
            refuse_urls(self.static_configs)
        if self.sigv4 is not None:
            for key in ("basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file"):
                if getattr(self, key):
                    raise FieldError(f"{key} and sigv4 exclude each other: keep one", key)

    def check_support(self) -> None:
        """Raise `UnsupportedSettingsError` naming what is well-formed and not done by this version."""
        refuse_unsupported(self, WHERE, running=("static_configs",))
        if self.sigv4 is not None:
            raise UnsupportedSettingsError(f"{WHERE}: sigv4: requests are not signed by this version; remove it")

    def resolved(self) -> AlertmanagerSettings:
        """What sending takes."""
        return AlertmanagerSettings(
            http=HttpClientSettings(**{name: getattr(self, name) for name in HttpClientSettings.__struct_fields__}),
            groups=tuple(AlertmanagerGroup(group.targets, group.labels) for group in self.static_configs),
            scheme=self.scheme,
            path_prefix=self.path_prefix,
            timeout_seconds=self.timeout.seconds,
            relabel_configs=self.relabel_configs,
            alert_relabel_configs=self.alert_relabel_configs,
        )


class AlertingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole block."""

    alert_relabel_configs: tuple[RelabelRule, ...] = ()
    alertmanagers: tuple[AlertmanagersSettings, ...] = ()

    def check_support(self) -> None:
        """Raise `UnsupportedSettingsError` naming what is well-formed and not done by this version."""
        for one in self.alertmanagers:
            one.check_support()

    def resolved(self) -> tuple[AlertmanagerSettings, ...]:
        """What sending takes, entry by entry."""
        return tuple(one.resolved() for one in self.alertmanagers)
