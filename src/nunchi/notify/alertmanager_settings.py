"""`alerting:` of `prometheus.yml`: the Alertmanagers outside, and how alerts are relabelled for them."""

from typing import Any, Literal

import msgspec

from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.settings import Duration, FieldError
from nunchi.model.relabel import RelabelRule


class StaticAlertmanagersSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `static_configs`."""

    targets: tuple[str, ...] = ()
    labels: dict[str, str] = {}

    def __post_init__(self) -> None:
        for place, address in enumerate(self.targets):
            if "/" in address or not address:
                raise FieldError(f'"{address}" is no address: give host:port alone', "targets", place)


class AlertmanagerSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """One entry of `alertmanagers`. Discovery other than `static_configs` is known by name, and refused when applied."""

    scheme: Literal["http", "https"] = "http"
    path_prefix: str = "/"
    timeout: Duration = Duration(10_000)
    api_version: str = "v2"
    static_configs: tuple[StaticAlertmanagersSettings, ...] = ()
    relabel_configs: tuple[RelabelRule, ...] = ()
    alert_relabel_configs: tuple[RelabelRule, ...] = ()
    sigv4: dict[str, Any] | None = None
    aws_sd_configs: tuple[Any, ...] = ()
    azure_sd_configs: tuple[Any, ...] = ()
    consul_sd_configs: tuple[Any, ...] = ()
    digitalocean_sd_configs: tuple[Any, ...] = ()
    dns_sd_configs: tuple[Any, ...] = ()
    docker_sd_configs: tuple[Any, ...] = ()
    dockerswarm_sd_configs: tuple[Any, ...] = ()
    ec2_sd_configs: tuple[Any, ...] = ()
    ecs_sd_configs: tuple[Any, ...] = ()
    elasticache_sd_configs: tuple[Any, ...] = ()
    eureka_sd_configs: tuple[Any, ...] = ()
    file_sd_configs: tuple[Any, ...] = ()
    gce_sd_configs: tuple[Any, ...] = ()
    hetzner_sd_configs: tuple[Any, ...] = ()
    http_sd_configs: tuple[Any, ...] = ()
    ionos_sd_configs: tuple[Any, ...] = ()
    kubernetes_sd_configs: tuple[Any, ...] = ()
    kuma_sd_configs: tuple[Any, ...] = ()
    lightsail_sd_configs: tuple[Any, ...] = ()
    linode_sd_configs: tuple[Any, ...] = ()
    marathon_sd_configs: tuple[Any, ...] = ()
    msk_sd_configs: tuple[Any, ...] = ()
    nerve_sd_configs: tuple[Any, ...] = ()
    nomad_sd_configs: tuple[Any, ...] = ()
    oci_sd_configs: tuple[Any, ...] = ()
    openstack_sd_configs: tuple[Any, ...] = ()
    outscale_sd_configs: tuple[Any, ...] = ()
    ovhcloud_sd_configs: tuple[Any, ...] = ()
    puppetdb_sd_configs: tuple[Any, ...] = ()
    rds_sd_configs: tuple[Any, ...] = ()
    scaleway_sd_configs: tuple[Any, ...] = ()
    serverset_sd_configs: tuple[Any, ...] = ()
    stackit_sd_configs: tuple[Any, ...] = ()
    triton_sd_configs: tuple[Any, ...] = ()
    uyuni_sd_configs: tuple[Any, ...] = ()
    vultr_sd_configs: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.api_version != "v2":
            raise FieldError("only version v2 of Alertmanager's API exists still", "api_version")

    def unavailable(self) -> list[str]:
        """Keys that are set and do nothing here."""
        names = [info.name for info in msgspec.structs.fields(type(self)) if info.name.endswith("_sd_configs")]
        return [name for name in (*names, "sigv4") if getattr(self, name)]


class AlertingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole block."""

    alert_relabel_configs: tuple[RelabelRule, ...] = ()
    alertmanagers: tuple[AlertmanagerSettings, ...] = ()
