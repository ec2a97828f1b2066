"""Probes TLS endpoints: whether the certificate is accepted, and when it expires, which is shown even where it is refused."""

from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.clients.address import Address, parse_address
from nunchi.agent.clients.connection import Connection
from nunchi.agent.clients.handshake import Handshake
from nunchi.agent.probing import Attempt, IpProtocol, ProbeCheck, require_targets
from nunchi.kit.tls import TlsClientSettings

DEFAULT_PORT = 443


class TlsSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`targets`: host or host:port."""

    targets: tuple[str, ...] = ()
    tls_config: TlsClientSettings = TlsClientSettings()
    ip_protocol: IpProtocol = "any"

    def __post_init__(self) -> None:
        require_targets(self.targets)
        for target in self.targets:
            parse_address(target, DEFAULT_PORT)


class TlsCheck(ProbeCheck):
    """`probe_ssl_earliest_cert_expiry`, `probe_ssl_last_chain_info`, `probe_tls_version_info`, `probe_success`."""

    name = "tls"
    job = "tls"
    settings_type = TlsSettings

    def __init__(self, settings: TlsSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._handshake = Handshake(settings.tls_config)

    @property
    def targets(self) -> tuple[str, ...]:
        """See `ProbeCheck.targets`."""
        return self._own.targets

    def probe(self, attempt: Attempt) -> None:
        """See `ProbeCheck.probe`."""
        named = parse_address(attempt.target, DEFAULT_PORT)
        address = Address(attempt.resolve(named.host, self._own.ip_protocol), named.port)
        with Connection.open(address, attempt.deadline) as connection:
            self._handshake.wrap(connection, address, named.host, attempt.deadline, attempt.emit)
