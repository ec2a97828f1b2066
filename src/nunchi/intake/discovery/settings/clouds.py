"""Clouds and their account interfaces."""

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from nunchi.intake.discovery.settings.requirements import exclude, require, require_one
from nunchi.kit.http_client import HttpClientSettings
from nunchi.kit.settings import Duration, FieldError, Secret
from nunchi.kit.tls import TlsClientSettings

MINUTE = Duration(60_000)
NO_SECRET = Secret("")


class NamedFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition that the cloud itself applies: a name and its accepted values."""

    name: str = ""
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.values:
            raise FieldError("a filter needs values: give at least one", "values")


class AwsAccess(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """What every AWS mechanism takes; an empty region is asked for where it runs."""

    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: Secret = NO_SECRET
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    port: int = 80
    refresh_interval: Duration = MINUTE


class Ec2Settings(AwsAccess, frozen=True, forbid_unknown_fields=True):
    """`ec2_sd_configs`."""

    filters: tuple[NamedFilter, ...] = ()


class LightsailSettings(AwsAccess, frozen=True, forbid_unknown_fields=True):
    """`lightsail_sd_configs`."""


class AwsClusterSettings(AwsAccess, frozen=True, forbid_unknown_fields=True):
    """`ecs_sd_configs`, `msk_sd_configs`, `rds_sd_configs`, `elasticache_sd_configs`."""

    clusters: tuple[str, ...] = ()
    filters: tuple[NamedFilter, ...] = ()
    request_concurrency: int = 10


class AwsSettings(AwsClusterSettings, frozen=True, forbid_unknown_fields=True):
    """`aws_sd_configs`: one key for all of AWS, told apart by role."""

    role: Literal["ec2", "lightsail", "ecs", "msk", "rds", "elasticache"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "role")


class AzureSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`azure_sd_configs`."""

    environment: str = "AzurePublicCloud"
    port: int = 80
    subscription_id: str = ""
    tenant_id: str = ""
    client_id: str = ""
    client_secret: Secret = NO_SECRET
    refresh_interval: Duration = Duration(300_000)
    authentication_method: Literal["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"] = "OAuth"
    resource_group: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "subscription_id")
        if self.authentication_method == "OAuth":
            require(self, "tenant_id", "client_id", "client_secret")
        elif self.authentication_method == "WorkloadIdentity":
            require(self, "tenant_id", "client_id")


class GceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`gce_sd_configs`."""

    project: str = ""
    zone: str = ""
    filter: str = ""
    refresh_interval: Duration = MINUTE
    port: int = 80
    tag_separator: str = ","

    def __post_init__(self) -> None:
        require(self, "project", "zone")


class OpenstackSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`openstack_sd_configs`."""

    identity_endpoint: str = ""
    username: str = ""
    userid: str = ""
    password: Secret = NO_SECRET
    project_name: str = ""
    project_id: str = ""
    application_credential_name: str = ""
    application_credential_id: str = ""
    application_credential_secret: Secret = NO_SECRET
    domain_name: str = ""
    domain_id: str = ""
    role: Literal["hypervisor", "instance", "loadbalancer"] | None = None
    region: str = ""
    refresh_interval: Duration = MINUTE
    port: int = 80
    all_tenants: bool = False
    tls_config: TlsClientSettings = TlsClientSettings()
    availability: Literal["public", "admin", "internal"] = "public"

    def __post_init__(self) -> None:
        require(self, "role", "region")


class DigitaloceanSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`digitalocean_sd_configs`."""

    role: Literal["droplets", "databases"] = "droplets"
    port: int = 80
    refresh_interval: Duration = MINUTE


class HetznerSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`hetzner_sd_configs`."""

    role: Literal["hcloud", "robot"] | None = None
    port: int = 80
    refresh_interval: Duration = MINUTE
    label_selector: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "role")


class IonosSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`ionos_sd_configs`."""

    datacenter_id: str = ""
    port: int = 80
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "datacenter_id")


class LinodeSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`linode_sd_configs`."""

    region: str = ""
    port: int = 80
    tag_separator: str = ","
    refresh_interval: Duration = MINUTE


class OciSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`oci_sd_configs`."""

    auth: Literal["api_key", "config_file", "instance_principal", "resource_principal", "workload_identity"] | None = (
        None
    )
    config_file: str = ""
    profile: str = ""
    region: str = ""
    tenancy: str = ""
    tenancy_id: str = ""
    user: str = ""
    user_id: str = ""
    fingerprint: str = ""
    private_key: Secret = NO_SECRET
    private_key_file: str = ""
    private_key_passphrase: Secret = NO_SECRET
    compartment: str = ""
    compartment_id: str = ""
    port: int = 80
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        exclude(self, "private_key", "private_key_file")


class OutscaleSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`outscale_sd_configs`."""

    region: str = ""
    endpoint: str = ""
    access_key: str = ""
    secret_key: Secret = NO_SECRET
    secret_key_file: str = ""
    port: int = 80
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "region", "access_key")
        require_one(self, "secret_key", "secret_key_file")


class OvhcloudSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`ovhcloud_sd_configs`."""

    endpoint: str = "ovh-eu"
    application_key: str = ""
    application_secret: Secret = NO_SECRET
    consumer_key: Secret = NO_SECRET
    service: Literal["vps", "dedicated_server"] | None = None
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        require(self, "endpoint", "application_key", "application_secret", "consumer_key", "service")


_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SCALEWAY_KEY = re.compile(r"SCW[0-9A-Z]{17}")
_SCALEWAY_ZONE = re.compile(r"[a-z]{2}-[a-z]{3}-[0-9]")


class ScalewaySettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`scaleway_sd_configs`."""

    project_id: str = ""
    role: Literal["instance", "baremetal"] | None = None
    access_key: str = ""
    secret_key: Secret = NO_SECRET
    secret_key_file: str = ""
    api_url: str = "https://api.scaleway.com"
    zone: str = "fr-par-1"
    name_filter: str = ""
    tags_filter: tuple[str, ...] = ()
    port: int = 80
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "role", "project_id", "access_key")
        require_one(self, "secret_key", "secret_key_file")
        for key, text in (("project_id", self.project_id), ("secret_key", self.secret_key.reveal())):
            if text and not _UUID.fullmatch(text):
                raise FieldError(f"{key} is a UUID, as Scaleway's console shows it", key)
        if not _SCALEWAY_KEY.fullmatch(self.access_key):
            raise FieldError("access_key begins with SCW, and 17 letters or digits follow", "access_key")
        if not _SCALEWAY_ZONE.fullmatch(self.zone):
            raise FieldError(f'"{self.zone}" is no zone: write it as in fr-par-1', "zone")


class StackitSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`stackit_sd_configs`."""

    project: str = ""
    region: str = "eu01"
    endpoint: str = ""
    service_account_key: Secret = NO_SECRET
    service_account_key_path: str = ""
    private_key: Secret = NO_SECRET
    private_key_path: str = ""
    credentials_file_path: str = ""
    port: int = 80
    refresh_interval: Duration = MINUTE

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.endpoint:
            require(self, "region")
        elif self.endpoint.startswith(":") or not urlsplit(self.endpoint).path + urlsplit(self.endpoint).netloc:
            raise FieldError(f'"{self.endpoint}" is not a URL: write https://host', "endpoint")


class VultrSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`vultr_sd_configs`."""

    port: int = 80
    refresh_interval: Duration = MINUTE
