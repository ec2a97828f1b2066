"""`tracing` of Prometheus's configuration file: judged as Prometheus does; nunchi sends no traces."""

from typing import Literal

import msgspec

from nunchi.intake.sections import check_headers
from nunchi.kit.settings import Duration, FieldError
from nunchi.kit.tls import TlsClientSettings


class TracingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where traces would go."""

    client_type: Literal["grpc", "http"] = "grpc"
    endpoint: str = ""
    sampling_fraction: float = 0.0
    insecure: bool = False
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    compression: Literal["", "gzip"] = ""
    timeout: Duration = Duration(10_000)
    tls_config: TlsClientSettings = TlsClientSettings()

    def __post_init__(self) -> None:
        if not self.endpoint:
            raise FieldError("endpoint is missing: give host and port", "endpoint")
        check_headers(self.headers)
