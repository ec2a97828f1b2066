"""From a discovered label set to a target: defaults, relabelling, validation. Pure: labels in, a target or a reason out.

Invariant: two targets of a job with equal labels and URL are one target; their `identity` is equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from urllib.parse import quote, urlencode

from nunchi.kit.durations import format_duration, parse_duration
from nunchi.model.labels import Labels
from nunchi.model.names import is_encodable
from nunchi.model.relabel import Relabeller

ADDRESS = "__address__"
SCHEME = "__scheme__"
METRICS_PATH = "__metrics_path__"
SCRAPE_INTERVAL = "__scrape_interval__"
SCRAPE_TIMEOUT = "__scrape_timeout__"
UNIX_SOCKET = "__unix_socket__"
PARAMETER_PREFIX = "__param_"
RESERVED_PREFIX = "__"
JOB = "job"
INSTANCE = "instance"

DEFAULT_PORTS = {"http": 80, "https": 443}


class Health(Enum):
    """Of a target, by its last scrape."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class TargetError(ValueError):
    """A discovered label set that cannot be a target; `reason` says why."""


@dataclass(frozen=True, slots=True)
class TargetDefaults:
    """What a job gives to targets that do not say it themselves."""

    job_name: str
    scheme: str
    metrics_path: str
    interval_ms: int
    timeout_ms: int
    parameters: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to scrape.

    labels      what its series carry
    discovered  what was known before relabelling
    address     host and port to connect to; the port is the scheme's where the address has none
    """

    labels: Labels
    discovered: Labels
    scheme: str
    host: str
    port: int
    authority: str
    path_and_query: str
    interval_ms: int
    timeout_ms: int
    unix_socket: str = ""

    @property
    def url(self) -> str:
        """The address of the exposition."""
        return f"{self.scheme}://{self.authority}{self.path_and_query}"

    @property
    def identity(self) -> tuple[Labels, str]:
        """Equal for equal targets of one job."""
        return self.labels, self.url

    def phase_ms(self, seed: int) -> int:
        """When within its interval this target is scraped: fixed by who it is and who asks, spread over all targets."""
        digest = blake2b(self.labels.key() + self.url.encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") ^ seed) % self.interval_ms


def discovered_labels(own: Mapping[str, str], group: Mapping[str, str], defaults: TargetDefaults) -> dict[str, str]:
    """The labels that relabelling starts from: a target's own win over its group's, both over the job's defaults."""
    labels = {name: value for name, value in {**group, **own}.items() if value}
    for name, value in (
        (JOB, defaults.job_name),
        (SCRAPE_INTERVAL, format_duration(defaults.interval_ms)),
        (SCRAPE_TIMEOUT, format_duration(defaults.timeout_ms)),
        (METRICS_PATH, defaults.metrics_path),
        (SCHEME, defaults.scheme),
    ):
        labels.setdefault(name, value)
    for name, values in defaults.parameters.items():
        if values and values[0]:
            labels.setdefault(PARAMETER_PREFIX + name, values[0])
    return labels


def make_target(discovered: dict[str, str], rules: Relabeller, defaults: TargetDefaults) -> Target | None:
    """The target that a discovered label set describes, None where relabelling drops it; raises `TargetError`."""
    labels = dict(discovered)
    if not rules.apply(labels) or not labels:
        return None
    address = labels.get(ADDRESS, "")
    interval_ms, timeout_ms = _check_times(labels)
    scheme = labels.get(SCHEME, "")
    if scheme not in DEFAULT_PORTS:
        raise TargetError(f"{SCHEME} is {scheme!r}; it must be http or https")
    host, port = split_address(address, DEFAULT_PORTS[scheme])
    public = {name: value for name, value in labels.items() if not name.startswith(RESERVED_PREFIX)}
    public.setdefault(INSTANCE, address)
    for name, value in public.items():
        if not is_encodable(value):
            raise TargetError(f"the value of label {name} is no UTF-8")
    return Target(
        labels=Labels(public),
        discovered=Labels(discovered),
        scheme=scheme,
        host=host,
        port=port,
        authority=address,
        path_and_query=_path_and_query(labels, defaults.parameters),
        interval_ms=interval_ms,
        timeout_ms=timeout_ms,
        unix_socket=labels.get(UNIX_SOCKET, ""),
    )


def split_address(address: str, default_port: int) -> tuple[str, int]:
    """Host and port; raises `TargetError` with what is wrong."""
    if not address:
        raise TargetError("no address")
    if "/" in address:
        raise TargetError(
            f"{address!r} is not a valid hostname: give host:port alone; path and scheme have their own keys"
        )
    if not address.isprintable() or any(character in address for character in " @?#\\"):
        raise TargetError(f"{address!r} is not a valid address: give host:port")
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise TargetError(f"{address!r} is not a valid address: an IPv6 address is written as [::1]:9100")
        port_text = rest[1:] if rest else str(default_port)
    elif address.count(":") > 1:
        raise TargetError(f"{address!r} is not a valid address: an IPv6 address is written as [::1]:9100")
    else:
        host, colon, port_text = address.partition(":")
        port_text = port_text if colon else str(default_port)
    if not host or not (port_text.isascii() and port_text.isdigit()) or not 0 < int(port_text[:6]) < 65536:
        raise TargetError(f"{address!r} is not a valid address: give host:port")
    return host, int(port_text)


def _check_times(labels: Mapping[str, str]) -> tuple[int, int]:
    times = []
    for name, what in ((SCRAPE_INTERVAL, "scrape interval"), (SCRAPE_TIMEOUT, "scrape timeout")):
        try:
            duration_ms = parse_duration(labels.get(name, ""))
        except ValueError as error:
            raise TargetError(f"error parsing {what}: {error}") from None
        if duration_ms == 0:
            raise TargetError(f"{what} cannot be 0")
        times.append(duration_ms)
    interval_ms, timeout_ms = times
    if timeout_ms > interval_ms:
        shown = f'("{format_duration(timeout_ms)}" > "{format_duration(interval_ms)}")'
        raise TargetError(f"scrape timeout cannot be greater than scrape interval {shown}")
    return interval_ms, timeout_ms


def _path_and_query(labels: Mapping[str, str], parameters: Mapping[str, Sequence[str]]) -> str:
    values = {name: list(given) for name, given in parameters.items()}
    for label, value in labels.items():
        if label.startswith(PARAMETER_PREFIX):
            given = values.setdefault(label.removeprefix(PARAMETER_PREFIX), [])
            given[:1] = [value]
    path = quote(labels.get(METRICS_PATH, ""), safe="/:@!$&'()*+,;=~%")
    if not path.startswith("/"):
        path = f"/{path}"
    query = urlencode([(name, value) for name in sorted(values) for value in values[name]])
    return f"{path}?{query}" if query else path
