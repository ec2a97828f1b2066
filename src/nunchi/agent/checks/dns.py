"""Probes DNS servers as blackbox_exporter's dns prober does: one question to each, and what its answer is to look like."""

import re
import secrets
from typing import Literal

from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.clients.address import Address, parse_address
from nunchi.agent.clients.dns import TYPES, ask
from nunchi.agent.errors import ServiceError
from nunchi.agent.patterns import compile_pattern
from nunchi.agent.probing import Attempt, IpProtocol, ProbeCheck, require_targets
from nunchi.kit.settings import FieldError

DEFAULT_PORT = 53


class DnsSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`targets`: servers, host or host:port; every record is to match `fail_if_not_matches_regexp`."""

    targets: tuple[str, ...] = ()
    query_name: str = "."
    query_type: str = "A"
    transport_protocol: Literal["udp", "tcp"] = "udp"
    valid_rcodes: tuple[str, ...] = ("NOERROR",)
    fail_if_not_matches_regexp: str = ""
    fail_if_no_answer: bool = False
    ip_protocol: IpProtocol = "any"

    def __post_init__(self) -> None:
        require_targets(self.targets)
        for target in self.targets:
            parse_address(target, DEFAULT_PORT)
        if self.query_type not in TYPES:
            raise FieldError(f"one of {', '.join(TYPES)}", "query_type")
        if any(not 0 < len(label) < 64 for label in self.query_name.strip(".").split(".")) and self.query_name != ".":
            raise FieldError(f"{self.query_name!r} is not a name", "query_name")
        compile_pattern("fail_if_not_matches_regexp", self.fail_if_not_matches_regexp)


class DnsCheck(ProbeCheck):
    """`probe_dns_*`, `probe_success`."""

    name = "dns"
    job = "dns"
    settings_type = DnsSettings

    def __init__(self, settings: DnsSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._pattern = re.compile(settings.fail_if_not_matches_regexp)

    @property
    def targets(self) -> tuple[str, ...]:
        """See `ProbeCheck.targets`."""
        return self._own.targets

    def probe(self, attempt: Attempt) -> None:
        """See `ProbeCheck.probe`."""
        own, emit = self._own, attempt.emit
        named = parse_address(attempt.target, DEFAULT_PORT)
        address = Address(attempt.resolve(named.host, own.ip_protocol), named.port)
        began = attempt.clock.monotonic()
        number = secrets.randbelow(1 << 16)  # unforeseeable, so that nobody beside the path answers for the server
        try:
            answer = ask(address, own.query_name, own.query_type, own.transport_protocol, number, attempt.deadline)
        except ServiceError:
            emit.gauge("probe_dns_query_succeeded", 0)
            raise
        emit.gauge("probe_dns_duration_seconds", attempt.clock.monotonic() - began, phase="request")
        emit.gauge("probe_dns_query_succeeded", 1)
        emit.gauge("probe_dns_answer_rrs", answer.answers)
        emit.gauge("probe_dns_authority_rrs", answer.authorities)
        emit.gauge("probe_dns_additional_rrs", answer.additional)
        if answer.code not in own.valid_rcodes:
            raise ServiceError(f"answers {answer.code}")
        wrong = next((record for record in answer.records if not self._pattern.search(record)), None)
        emit.gauge("probe_failed_due_to_regex", 0 if wrong is None else 1)
        if wrong is not None:
            raise ServiceError(f"the record {wrong!r} does not match {self._pattern.pattern!r}")
        if own.fail_if_no_answer and not answer.answers:
            raise ServiceError("answers without a record")
