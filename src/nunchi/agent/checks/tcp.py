"""Probes TCP services as blackbox_exporter's tcp prober does: a connection, TLS if wanted, and a dialogue."""

import re

import msgspec

from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.clients.address import Address, parse_address
from nunchi.agent.clients.connection import Connection
from nunchi.agent.clients.handshake import Handshake
from nunchi.agent.errors import ServiceError
from nunchi.agent.patterns import compile_pattern
from nunchi.agent.probing import Attempt, IpProtocol, ProbeCheck, require_targets
from nunchi.kit.tls import TlsClientSettings

LINES_MAX = 1000
RECEIVED_BYTES_MAX = 1 << 20


class TcpStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lines are read until one matches `expect`; then `send` is sent with a line end; then TLS begins where `starttls`."""

    expect: str = ""
    send: str = ""
    starttls: bool = False

    def __post_init__(self) -> None:
        compile_pattern("expect", self.expect)


class TcpSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`targets`: host:port."""

    targets: tuple[str, ...] = ()
    query_response: tuple[TcpStep, ...] = ()
    tls: bool = False
    tls_config: TlsClientSettings = TlsClientSettings()
    ip_protocol: IpProtocol = "any"

    def __post_init__(self) -> None:
        require_targets(self.targets)
        for target in self.targets:
            parse_address(target)


class TcpCheck(ProbeCheck):
    """`probe_success`, `probe_duration_seconds`, `probe_failed_due_to_regex`, `probe_ssl_*` with TLS."""

    name = "tcp"
    job = "tcp"
    settings_type = TcpSettings

    def __init__(self, settings: TcpSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._handshake = Handshake(settings.tls_config)

    @property
    def targets(self) -> tuple[str, ...]:
        """See `ProbeCheck.targets`."""
        return self._own.targets

    def probe(self, attempt: Attempt) -> None:
        """See `ProbeCheck.probe`."""
        named = parse_address(attempt.target)
        address = named if named.path else Address(attempt.resolve(named.host, self._own.ip_protocol), named.port)
        with Connection.open(address, attempt.deadline, RECEIVED_BYTES_MAX) as connection:
            if self._own.tls:
                self._handshake.wrap(connection, address, named.host, attempt.deadline, attempt.emit)
            if not self._own.query_response:
                attempt.emit.gauge("probe_failed_due_to_regex", 0)
            for number, step in enumerate(self._own.query_response, 1):
                is_last = number == len(self._own.query_response)
                self._take_step(attempt, connection, step, address, named.host, is_last=is_last)

    def _take_step(
        self, attempt: Attempt, connection: Connection, step: TcpStep, address: Address, host: str, *, is_last: bool
    ) -> None:
        if step.expect:
            pattern = re.compile(step.expect.encode())
            try:
                found = any(pattern.search(connection.receive_line()) for _ in range(LINES_MAX))
                reason = f"{LINES_MAX} lines, and none matches {step.expect!r}"
            except ServiceError as error:
                found, reason = False, f"no line matches {step.expect!r}: {error}"
            if not found:
                attempt.emit.gauge("probe_failed_due_to_regex", 1)
                raise ServiceError(reason)
        if step.send:
            connection.send(step.send.encode() + b"\r\n")
        if step.starttls:
            self._handshake.wrap(connection, address, host, attempt.deadline, attempt.emit)
        if is_last:
            attempt.emit.gauge("probe_failed_due_to_regex", 0)
