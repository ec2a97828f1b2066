"""Who may ask an HTTP server for what: the defences against browsers and against strangers. Decisions only, no I/O.

A loopback listener is reachable by every page in the user's browser. So: the Host must be a name of ours (against DNS
rebinding), what changes state must not come from another site (Origin, Sec-Fetch-Site) nor look like a form, and pages may not
be framed.
Invariant: every refusal says what was wrong and what to change.
"""

import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from multidict import CIMultiDictProxy

from nunchi.kit.errors import InputError
from nunchi.kit.http_route import Access, Route
from nunchi.kit.listen_address import is_loopback
from nunchi.kit.secrets import Secret

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
CORS_HEADERS = {
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Origin",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Expose-Headers": "Date",
}
CONNECTIONS_MAX = 512
_FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""})
_OWN_SITES = frozenset({"same-origin", "none"})  # same-site is another port of this machine: not ours


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """What the operator chose for a server; each field is named by the flag that sets it."""

    external_url: str = ""  # --web.external-url: its host is allowed, its path is the prefix of all routes
    route_prefix: str | None = None  # --web.route-prefix, if it differs from the path of the external URL
    hosts: tuple[str, ...] = ()  # more names that may stand in the Host header
    insecure: bool = False  # --web.insecure: listen beyond loopback without TLS and authentication
    lifecycle: bool = False  # --web.enable-lifecycle
    admin: bool = False  # --web.enable-admin-api
    web_config_file: Path | None = None  # --web.config.file
    connections_max: int = CONNECTIONS_MAX  # --web.max-connections
    cors_origin: str = ""  # --web.cors.origin: a regular expression; pages of these origins may read what is served
    own_token: Secret | None = None  # bearer token of other parts of this process: they are let in as users are

    def __post_init__(self) -> None:
        parts = urlsplit(self.external_url)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_path = self.external_url.startswith("/") and not parts.netloc
        if self.external_url and not is_whole and not is_path:
            cure = "write it in full, as in http://host/nunchi, or only its path"
            raise InputError(f'--web.external-url: "{self.external_url}" is not a URL: {cure}')
        try:
            re.compile(self.cors_origin)
        except re.error as error:
            raise InputError(f'--web.cors.origin: "{self.cors_origin}" is no regular expression: {error}') from error

    def cors_headers(self, origin: str | None) -> Mapping[str, str]:
        """What a browser needs to hear before a page of another origin may read an answer; passwords are not sent along."""
        if not self.cors_origin:
            return {}
        headers = {"Vary": "Origin"}
        if origin is not None and re.fullmatch(self.cors_origin, origin):
            headers |= {"Access-Control-Allow-Origin": origin, **CORS_HEADERS}
        return headers

    def is_own(self, authorization: str) -> bool:
        """Whether a request comes from this very process."""
        if self.own_token is None:
            return False
        return hmac.compare_digest(authorization.encode(), f"Bearer {self.own_token.reveal()}".encode())

    @property
    def prefix(self) -> str:
        """What stands before every path: empty, or `/a/b` without a slash at its end."""
        path = urlsplit(self.external_url).path if self.route_prefix is None else self.route_prefix
        path = path.strip("/")
        return f"/{path}" if path else ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Gate:
    """The policy of one listener, once it is known where that listens."""

    policy: HttpPolicy
    is_loopback_listener: bool
    own_hosts: frozenset[str]

    def refuse_host(self, host_header: str | None) -> Refusal | None:
        """Refuse a Host that is no name of ours; only clients that are no browsers leave it out."""
        if host_header is None:
            return None
        host = _host_of(host_header)
        external_host = urlsplit(self.policy.external_url).hostname
        if host in self.own_hosts or host in {"localhost", external_host} or is_loopback(host):
            return None
        if not self.is_loopback_listener and _is_address(host):
            return None
        return Refusal(403, f'host "{host}" is not served here: add it with --web.external-url, or use localhost')

    @staticmethod
    def is_push_of_program(route: Route | None, headers: CIMultiDictProxy[str]) -> bool:
        """Whether a program brings samples or a secret. It may call us what it likes: browsers name their origin."""
        is_browser = "Origin" in headers or "Sec-Fetch-Site" in headers
        return route is not None and route.access in {Access.INGEST, Access.JOIN} and not is_browser

    def refuse_access(
        self, route: Route, peer: str | None, *, is_authenticated: bool, is_encrypted: bool = False
    ) -> Refusal | None:
        """Refuse what the operator did not switch on, and pushes of strangers."""
        if route.access is Access.LIFECYCLE and not self.policy.lifecycle:
            return Refusal(403, "Lifecycle API is not enabled: start with --web.enable-lifecycle")
        if route.access is Access.ADMIN and not self.policy.admin:
            return Refusal(403, "Admin API is not enabled: start with --web.enable-admin-api")
        if route.access is Access.JOIN and not (is_encrypted or (peer is not None and is_loopback(peer))):
            return Refusal(
                403, "secrets are not taken in the clear: give a certificate in --web.config.file, use https"
            )
        if route.access is Access.INGEST and not is_authenticated:
            is_local = self.is_loopback_listener and peer is not None and is_loopback(peer)
            if not is_local:
                cure = "give users or client certificates in --web.config.file, or push from this machine to a loopback address"
                return Refusal(403, f"push without authentication is taken on loopback only: {cure}")
        return None

    def refuse_cross_site(self, route: Route, headers: CIMultiDictProxy[str]) -> Refusal | None:
        """Refuse what changes state and comes from a page that is not ours."""
        if route.access is Access.READ:
            return None
        site = headers.get("Sec-Fetch-Site", "none").lower()
        origin = headers.get("Origin")
        if site in _OWN_SITES and (origin is None or self._is_own_origin(origin, headers.get("Host", ""))):
            return None
        return Refusal(
            403, "a page of another site may not change anything here: open nunchi's own pages, or use a program"
        )

    def refuse_content_type(self, route: Route, content_type: str, *, has_body: bool) -> Refusal | None:
        """Refuse bodies of a type the route does not take; forms are none of what changes state takes."""
        if not has_body:
            return None
        content_type = content_type.partition(";")[0].strip().lower()
        if route.content_types:
            if content_type in route.content_types:
                return None
            return Refusal(
                415, f'content type "{content_type}" is not taken here: send {" or ".join(route.content_types)}'
            )
        if route.access is Access.READ or content_type not in _FORM_TYPES:
            return None
        return Refusal(
            415, f'content type "{content_type}" is not taken here: name the type of what you send in Content-Type'
        )

    def _is_own_origin(self, origin: str, host_header: str) -> bool:
        parts = urlsplit(origin.lower())
        if parts.netloc and parts.netloc == host_header.lower():
            return True
        external = urlsplit(self.policy.external_url.lower())
        return bool(external.netloc) and (parts.scheme, parts.netloc) == (external.scheme, external.netloc)


def _host_of(header: str) -> str:
    """The host of a Host header, without port, brackets and the dot at its end."""
    header = header.strip().lower()
    host = header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]
    return host.rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
