"""Every mechanism by its key in the configuration file, and which of them run.

The explicit registry of discovery: `DiscoverySettings` is what a job (or an `alertmanagers` entry) may say, and
`make_mechanisms` turns it into running ones.
Invariant: a mechanism that is accepted by syntax but does not run yet is refused by name when settings are applied.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nunchi.intake.discovery.file import FileMechanism, FileSettings
from nunchi.intake.discovery.settings.clouds import (
    AwsClusterSettings,
    AwsSettings,
    AzureSettings,
    DigitaloceanSettings,
    Ec2Settings,
    GceSettings,
    HetznerSettings,
    IonosSettings,
    LightsailSettings,
    LinodeSettings,
    OciSettings,
    OpenstackSettings,
    OutscaleSettings,
    OvhcloudSettings,
    ScalewaySettings,
    StackitSettings,
    VultrSettings,
)
from nunchi.intake.discovery.settings.clusters import (
    ConsulSettings,
    DockerSettings,
    DockerswarmSettings,
    EurekaSettings,
    KumaSettings,
    MarathonSettings,
    NomadSettings,
    TritonSettings,
    ZookeeperSettings,
)
from nunchi.intake.discovery.settings.kubernetes import KubernetesSettings
from nunchi.intake.discovery.settings.queries import DnsSettings, HttpSettings, PuppetdbSettings, UyuniSettings
from nunchi.intake.discovery.static import StaticMechanism, StaticSettings
from nunchi.intake.mechanism import Mechanism
from nunchi.kit.clock import Clock
from nunchi.kit.errors import InputError
from nunchi.kit.http_client import HttpClientSettings
from nunchi.kit.logs import Logger

SUFFIX = "_sd_configs"


class UnsupportedSettingsError(InputError):
    """Settings that are well-formed, and that nunchi does not act on yet."""


class DiscoverySettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """Every way of finding peers, and how to connect to them: what jobs and `alertmanagers` entries have in common."""

    static_configs: tuple[StaticSettings, ...] = ()
    file_sd_configs: tuple[FileSettings, ...] = ()
    aws_sd_configs: tuple[AwsSettings, ...] = ()
    azure_sd_configs: tuple[AzureSettings, ...] = ()
    consul_sd_configs: tuple[ConsulSettings, ...] = ()
    digitalocean_sd_configs: tuple[DigitaloceanSettings, ...] = ()
    dns_sd_configs: tuple[DnsSettings, ...] = ()
    docker_sd_configs: tuple[DockerSettings, ...] = ()
    dockerswarm_sd_configs: tuple[DockerswarmSettings, ...] = ()
    ec2_sd_configs: tuple[Ec2Settings, ...] = ()
    ecs_sd_configs: tuple[AwsClusterSettings, ...] = ()
    elasticache_sd_configs: tuple[AwsClusterSettings, ...] = ()
    eureka_sd_configs: tuple[EurekaSettings, ...] = ()
    gce_sd_configs: tuple[GceSettings, ...] = ()
    hetzner_sd_configs: tuple[HetznerSettings, ...] = ()
    http_sd_configs: tuple[HttpSettings, ...] = ()
    ionos_sd_configs: tuple[IonosSettings, ...] = ()
    kubernetes_sd_configs: tuple[KubernetesSettings, ...] = ()
    kuma_sd_configs: tuple[KumaSettings, ...] = ()
    lightsail_sd_configs: tuple[LightsailSettings, ...] = ()
    linode_sd_configs: tuple[LinodeSettings, ...] = ()
    marathon_sd_configs: tuple[MarathonSettings, ...] = ()
    msk_sd_configs: tuple[AwsClusterSettings, ...] = ()
    nerve_sd_configs: tuple[ZookeeperSettings, ...] = ()
    nomad_sd_configs: tuple[NomadSettings, ...] = ()
    oci_sd_configs: tuple[OciSettings, ...] = ()
    openstack_sd_configs: tuple[OpenstackSettings, ...] = ()
    outscale_sd_configs: tuple[OutscaleSettings, ...] = ()
    ovhcloud_sd_configs: tuple[OvhcloudSettings, ...] = ()
    puppetdb_sd_configs: tuple[PuppetdbSettings, ...] = ()
    rds_sd_configs: tuple[AwsClusterSettings, ...] = ()
    scaleway_sd_configs: tuple[ScalewaySettings, ...] = ()
    serverset_sd_configs: tuple[ZookeeperSettings, ...] = ()
    stackit_sd_configs: tuple[StackitSettings, ...] = ()
    triton_sd_configs: tuple[TritonSettings, ...] = ()
    uyuni_sd_configs: tuple[UyuniSettings, ...] = ()
    vultr_sd_configs: tuple[VultrSettings, ...] = ()


RUNNING = ("static_configs", "file_sd_configs")


def refuse_unsupported(settings: DiscoverySettings, where: str, running: Sequence[str] = RUNNING) -> None:
    """Raise `UnsupportedSettingsError` naming the first mechanism that does not run there; `where` says whose it is."""
    for name in DiscoverySettings.__struct_fields__:
        if name.endswith(SUFFIX) and name not in running and getattr(settings, name):
            raise UnsupportedSettingsError(
                f"{where}: {name} is understood but not run by this version; use {' or '.join(running)}, or remove it"
            )


def make_mechanisms(settings: DiscoverySettings, folder: Path, clock: Clock, log: Logger) -> Mapping[object, Mechanism]:
    """The mechanisms of one job, by what tells whether they changed. Relative file names are below `folder`."""
    mechanisms: dict[object, Mechanism] = {}
    if settings.static_configs:
        key = tuple((group.targets, tuple(sorted(group.labels.items()))) for group in settings.static_configs)
        mechanisms["static", key] = StaticMechanism(settings.static_configs)
    for position, entry in enumerate(settings.file_sd_configs):
        mechanisms["file", position, folder, entry] = FileMechanism(entry, folder, clock, log)
    return mechanisms
