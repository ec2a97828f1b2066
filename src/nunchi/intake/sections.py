"""The sections of Prometheus's configuration file that say where samples go to or come from besides scraping.

`remote_write`, `remote_read`, `otlp`: what is well-formed, by Prometheus's rules. `refuse_unsupported_sections` names what
this version does not act on, so that nobody believes that samples are forwarded when they are not.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from nunchi.intake.azuread import AzureAdSettings
from nunchi.intake.discovery.settings.requirements import require_address
from nunchi.intake.mechanisms import UnsupportedSettingsError
from nunchi.kit.http_client import HttpClientSettings
from nunchi.kit.settings import Duration, FieldError
from nunchi.kit.sigv4_settings import Sigv4Settings
from nunchi.model.names import NameScheme
from nunchi.model.relabel import RelabelRule

RESERVED_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "host", "keep-alive",
        "proxy-authenticate", "proxy-authorization", "user-agent", "www-authenticate", "x-amz-content-sha256", "x-amz-date",
        "x-amz-security-token", "x-prometheus-remote-read-version", "x-prometheus-remote-write-version",
    }
)  # fmt: skip


def check_headers(headers: dict[str, str]) -> None:
    """No header that the protocol or the authentication settings write themselves."""
    for name in headers:
        if name.lower() == "authorization":
            raise FieldError(
                "authorization has settings of its own: use basic_auth, authorization or oauth2", "headers", name
            )
        if name.lower() in RESERVED_HEADERS:
            raise FieldError(f"header {name} is reserved: remove it", "headers", name)


class QueueSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`queue_config`."""

    capacity: int = 10_000
    max_shards: int = 50
    min_shards: int = 1
    max_samples_per_send: int = 2000
    batch_send_deadline: Duration = Duration(5000)
    min_backoff: Duration = Duration(30)
    max_backoff: Duration = Duration(5000)
    retry_on_http_429: bool = False
    sample_age_limit: Duration = Duration(0)

    def __post_init__(self) -> None:
        for name in ("capacity", "max_shards", "min_shards", "max_samples_per_send"):
            if getattr(self, name) <= 0:
                raise FieldError("must be more than 0", name)
        if self.min_shards > self.max_shards:
            raise FieldError(
                f"{self.min_shards} is more than max_shards {self.max_shards}: exchange them", "min_shards"
            )
        if not self.batch_send_deadline:
            raise FieldError("must be more than 0", "batch_send_deadline")
        if self.min_backoff > self.max_backoff:
            raise FieldError(
                f"{self.min_backoff} is more than max_backoff {self.max_backoff}: exchange them", "min_backoff"
            )


class MetadataSendSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`metadata_config`."""

    send: bool = True
    send_interval: Duration = Duration(60_000)
    max_samples_per_send: int = 2000


class RemoteWriteSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """One entry of `remote_write`."""

    url: str = ""
    name: str = ""
    remote_timeout: Duration = Duration(30_000)
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    write_relabel_configs: tuple[RelabelRule, ...] = ()
    send_exemplars: bool = False
    send_native_histograms: bool = False
    round_robin_dns: bool = False
    protobuf_message: Literal["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] = "prometheus.WriteRequest"
    queue_config: QueueSettings = QueueSettings()
    metadata_config: MetadataSendSettings = MetadataSendSettings()
    sigv4: Sigv4Settings | None = None
    azuread: AzureAdSettings | None = None
    google_iam: dict[str, object] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url:
            raise FieldError("url is missing: give one", "url")
        require_address(self.url, "url")
        check_headers(self.headers)
        names = ("basic_auth", "authorization", "oauth2", "sigv4", "azuread", "google_iam")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise FieldError(f"{given[0]} and {given[1]} exclude each other: keep one", given[1])


class RemoteReadSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """One entry of `remote_read`."""

    url: str = ""
    name: str = ""
    remote_timeout: Duration = Duration(60_000)
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    read_recent: bool = False
    required_matchers: dict[str, str] = msgspec.field(default_factory=dict)
    filter_external_labels: bool = True
    chunked_read_limit: int = 5 * 10**7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url:
            raise FieldError("url is missing: give one", "url")
        require_address(self.url, "url")
        check_headers(self.headers)


Translation = Literal[
    "UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes", "NoUTF8EscapingWithSuffixes", "NoTranslation"
]


class OtlpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`otlp`."""

    promote_all_resource_attributes: bool = False
    promote_resource_attributes: tuple[str, ...] = ()
    ignore_resource_attributes: tuple[str, ...] = ()
    translation_strategy: Translation = "UnderscoreEscapingWithSuffixes"
    keep_identifying_resource_attributes: bool = False
    convert_histograms_to_nhcb: bool = False
    promote_scope_metadata: bool = False
    label_name_underscore_sanitization: bool = True
    label_name_preserve_multiple_underscores: bool = True

    def __post_init__(self) -> None:
        if self.promote_all_resource_attributes and self.promote_resource_attributes:
            raise FieldError(
                "all attributes are promoted already: remove it, or promote_all_resource_attributes",
                "promote_resource_attributes",
            )
        if self.ignore_resource_attributes and not self.promote_all_resource_attributes:
            raise FieldError(
                "works with promote_all_resource_attributes only: set it to true", "ignore_resource_attributes"
            )
        for name in ("promote_resource_attributes", "ignore_resource_attributes"):
            seen: set[str] = set()
            for position, attribute in enumerate(getattr(self, name)):
                if not attribute.strip():
                    raise FieldError("an attribute needs a name", name, position)
                if attribute.strip() in seen:
                    raise FieldError(f'"{attribute.strip()}" is given twice: keep one', name, position)
                seen.add(attribute.strip())

    def check_scheme(self, scheme: NameScheme | None) -> None:
        """Names that may not be UTF-8 cannot be left as they are."""
        if scheme is NameScheme.LEGACY and self.translation_strategy in {"NoUTF8EscapingWithSuffixes", "NoTranslation"}:
            raise FieldError(
                f"{self.translation_strategy} makes names that metric_name_validation_scheme legacy forbids: change either",
                "otlp", "translation_strategy",
            )  # fmt: skip


def check_distinct_names(key: str, entries: Sequence[RemoteWriteSettings | RemoteReadSettings]) -> None:
    """Names, where given, are given once."""
    seen: set[str] = set()
    for position, name in enumerate(entry.name for entry in entries):
        if name and name in seen:
            raise FieldError(f'a second entry is called "{name}": give it another name', key, position, "name")
        seen.add(name)


def refuse_unsupported_sections(
    remote_write: tuple[RemoteWriteSettings, ...], remote_read: tuple[RemoteReadSettings, ...]
) -> None:
    """Raise `UnsupportedSettingsError` where somebody would wait for samples in vain."""
    if remote_write:
        raise UnsupportedSettingsError(
            "remote_write: sending samples on is not done by this version; remove the section"
        )
    if remote_read:
        raise UnsupportedSettingsError(
            "remote_read: asking other stores is not done by this version; remove the section"
        )
