"""Probes hosts with one echo request each, as blackbox_exporter's icmp prober does."""

import secrets

from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.clients.icmp import ping
from nunchi.agent.probing import Attempt, IpProtocol, ProbeCheck, require_targets
from nunchi.kit.settings import FieldError

PAYLOAD_BYTES = 36
PAYLOAD_BYTES_MAX = 1400


class IcmpSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`targets`: hosts."""

    targets: tuple[str, ...] = ()
    ip_protocol: IpProtocol = "any"
    payload_size: int = PAYLOAD_BYTES

    def __post_init__(self) -> None:
        require_targets(self.targets)
        if not 2 <= self.payload_size <= PAYLOAD_BYTES_MAX:
            raise FieldError(f"between 2 and {PAYLOAD_BYTES_MAX}", "payload_size")


class IcmpCheck(ProbeCheck):
    """`probe_icmp_duration_seconds{phase}`, `probe_icmp_reply_hop_limit`, `probe_success`."""

    name = "icmp"
    job = "icmp"
    settings_type = IcmpSettings

    def __init__(self, settings: IcmpSettings) -> None:
        super().__init__(settings)
        self._own = settings

    @property
    def targets(self) -> tuple[str, ...]:
        """See `ProbeCheck.targets`."""
        return self._own.targets

    def probe(self, attempt: Attempt) -> None:
        """See `ProbeCheck.probe`."""
        emit, clock = attempt.emit, attempt.clock
        began = clock.monotonic()
        address = attempt.resolve(attempt.target, self._own.ip_protocol)
        emit.gauge("probe_icmp_duration_seconds", clock.monotonic() - began, phase="resolve")
        echo = ping(address, secrets.randbelow(1 << 16), self._own.payload_size, clock, attempt.deadline)
        emit.gauge("probe_icmp_duration_seconds", echo.setup_seconds, phase="setup")
        emit.gauge("probe_icmp_duration_seconds", echo.round_trip_seconds, phase="rtt")
        if echo.hop_limit is not None:
            emit.gauge("probe_icmp_reply_hop_limit", echo.hop_limit)
