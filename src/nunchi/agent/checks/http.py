"""Probes web addresses as blackbox_exporter's http prober does: status, redirects, body, certificate, where time goes."""

import http.client
import re
from urllib.parse import urljoin, urlsplit

import msgspec

from nunchi.agent.clients.address import Address
from nunchi.agent.clients.connection import Connection
from nunchi.agent.clients.handshake import Handshake
from nunchi.agent.clients.http import Answer, HttpCheckSettings, head_of, read_body, require_url, said_by
from nunchi.agent.errors import ServiceError
from nunchi.agent.patterns import compile_pattern
from nunchi.agent.probing import Attempt, IpProtocol, ProbeCheck, require_targets
from nunchi.kit.settings import FieldError

BODY_BYTES_MAX = 4 << 20
REDIRECTS_MAX = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PHASES = ("resolve", "connect", "tls", "processing", "transfer")


class HttpSettings(HttpCheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Names as in blackbox_exporter's modules; any 2xx is valid unless told otherwise."""

    targets: tuple[str, ...] = ()
    method: str = "GET"
    body: str = ""
    valid_status_codes: tuple[int, ...] = ()
    follow_redirects: bool = True
    fail_if_ssl: bool = False
    fail_if_not_ssl: bool = False
    fail_if_body_matches_regexp: tuple[str, ...] = ()
    fail_if_body_not_matches_regexp: tuple[str, ...] = ()
    ip_protocol: IpProtocol = "any"
    body_bytes_max: int = msgspec.field(default=BODY_BYTES_MAX)

    def __post_init__(self) -> None:
        require_targets(self.targets)
        for target in self.targets:
            require_url("targets", target)
        for pattern in (*self.fail_if_body_matches_regexp, *self.fail_if_body_not_matches_regexp):
            compile_pattern("fail_if_body_…", pattern)
        if not 0 < self.body_bytes_max <= 64 << 20:
            raise FieldError("between 1 and 67108864", "body_bytes_max")


class HttpCheck(ProbeCheck):
    """`probe_http_*`, `probe_ssl_*`, `probe_success` and more, with the label `target`."""

    name = "http"
    job = "http"
    settings_type = HttpSettings

    def __init__(self, settings: HttpSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._handshake = Handshake(settings.tls_config)
        self._refused = [re.compile(pattern.encode()) for pattern in settings.fail_if_body_matches_regexp]
        self._wanted = [re.compile(pattern.encode()) for pattern in settings.fail_if_body_not_matches_regexp]

    @property
    def targets(self) -> tuple[str, ...]:
        """See `ProbeCheck.targets`."""
        return self._own.targets

    def probe(self, attempt: Attempt) -> None:
        """See `ProbeCheck.probe`."""
        url, phases, redirects = attempt.target, dict.fromkeys(PHASES, 0.0), 0
        while True:
            final = Attempt(attempt.target, attempt.deadline, attempt.clock)
            try:
                answer = self._exchange(final, url, phases)
            except ServiceError:
                adopt(attempt, final)
                raise
            location = answer.headers.get("Location")
            if not (self._own.follow_redirects and answer.status in REDIRECTS and location):
                break
            redirects += 1
            if redirects > REDIRECTS_MAX:
                raise ServiceError(f"more than {REDIRECTS_MAX} redirects")
            url = urljoin(url, location)
            require_url("redirect", url)
        adopt(attempt, final)
        self._show(attempt, answer, url, phases, redirects)

    def _exchange(self, attempt: Attempt, url: str, phases: dict[str, float]) -> Answer:
        clock, deadline = attempt.clock, attempt.deadline
        parts = urlsplit(url)
        is_tls, host = parts.scheme == "https", parts.hostname or ""
        marks = [clock.monotonic()]
        address = Address(attempt.resolve(host, self._own.ip_protocol), parts.port or (443 if is_tls else 80))
        marks.append(clock.monotonic())
        with Connection.open(address, deadline, self._own.body_bytes_max + (64 << 10)) as connection:
            marks.append(clock.monotonic())
            if is_tls:
                self._handshake.wrap(connection, address, host, deadline, attempt.emit)
            marks.append(clock.monotonic())
            connection.send(head_of(self._own, self._own.method, url, {}, self._own.body.encode()))
            response = http.client.HTTPResponse(connection.as_socket(), method=self._own.method)
            try:
                response.begin()
                marks.append(clock.monotonic())
                body = read_body(response, self._own.body_bytes_max, attempt.target)
            except (http.client.HTTPException, ValueError) as error:
                raise ServiceError(f"does not speak HTTP: {said_by(error)}") from error
            marks.append(clock.monotonic())
        for phase, begin, end in zip(PHASES, marks[:-1], marks[1:], strict=True):
            phases[phase] += end - begin
        attempt.emit.gauge("probe_http_version", 1.1 if response.version == 11 else 1.0)
        attempt.emit.gauge("probe_http_ssl", 1 if is_tls else 0)
        return Answer(response.status, response.reason, response.headers, body)

    def _show(self, attempt: Attempt, answer: Answer, url: str, phases: dict[str, float], redirects: int) -> None:
        emit, own = attempt.emit, self._own
        for phase, seconds in phases.items():
            emit.gauge("probe_http_duration_seconds", seconds, phase=phase)
        length = answer.headers.get("Content-Length", "")
        emit.gauge("probe_http_content_length", float(length) if length.isdecimal() else -1)
        emit.gauge("probe_http_uncompressed_body_length", len(answer.body))
        emit.gauge("probe_http_redirects", redirects)
        emit.gauge("probe_http_status_code", answer.status)
        refused = next((one for one in self._refused if one.search(answer.body)), None)
        missing = next((one for one in self._wanted if not one.search(answer.body)), None)
        emit.gauge("probe_failed_due_to_regex", 1 if refused or missing else 0)
        valid = own.valid_status_codes or range(200, 300)
        if answer.status not in valid:
            raise ServiceError(f"answers {answer.status} {answer.reason}".rstrip())
        if refused:
            raise ServiceError(f"the body matches {refused.pattern.decode()!r}")
        if missing:
            raise ServiceError(f"the body does not match {missing.pattern.decode()!r}")
        is_tls = url.startswith("https://")
        if (is_tls and own.fail_if_ssl) or (not is_tls and own.fail_if_not_ssl):
            raise ServiceError("is over TLS" if is_tls else "is not over TLS")


def adopt(attempt: Attempt, other: Attempt) -> None:
    """The samples of the last of several exchanges are the attempt's."""
    attempt.emit.samples += other.emit.samples
    attempt.emit.types.update(other.emit.types)
