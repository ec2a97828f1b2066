"""A memcached server, under memcached_exporter's names."""

from collections.abc import Mapping

from nunchi.agent.check import Context
from nunchi.agent.check_service import ServiceCheck
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.clients.address import parse_address
from nunchi.agent.clients.connection import Connection
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.emission import Emission
from nunchi.agent.errors import ServiceError

DEFAULT_PORT = 11211
LINES_MAX = 20_000
GAUGES = {
    "accepting_conns": "accepting_connections",
    "bytes": "current_bytes",
    "curr_connections": "current_connections",
    "curr_items": "current_items",
    "limit_maxbytes": "limit_bytes",
    "max_connections": "max_connections",
    "time": "time_seconds",
    "uptime": "uptime_seconds",
}
COUNTERS = {
    "bytes_read": "read_bytes_total",
    "bytes_written": "written_bytes_total",
    "conn_yields": "connections_yielded_total",
    "direct_reclaims": "direct_reclaims_total",
    "evictions": "items_evicted_total",
    "listen_disabled_num": "connections_listener_disabled_total",
    "reclaimed": "items_reclaimed_total",
    "rejected_connections": "connections_rejected_total",
    "rusage_system": "process_system_cpu_seconds_total",
    "rusage_user": "process_user_cpu_seconds_total",
    "total_connections": "connections_total",
    "total_items": "items_total",
}
COMMANDS = ("get", "delete", "incr", "decr", "cas", "touch")
ITEM_GAUGES = {"age": "age_seconds", "number": "current_items"}
ITEM_COUNTERS = {
    "crawler_reclaimed": "crawler_reclaimed_total",
    "evicted": "evicted_total",
    "evicted_nonzero": "evicted_nonzero_total",
    "evicted_unfetched": "evicted_unfetched_total",
    "expired_unfetched": "expired_unfetched_total",
    "outofmemory": "outofmemory_total",
    "reclaimed": "reclaimed_total",
    "tailrepairs": "tailrepairs_total",
}
SLAB_GAUGES = {
    "chunk_size": "chunk_size_bytes",
    "chunks_per_page": "chunks_per_page",
    "free_chunks": "chunks_free",
    "total_chunks": "current_chunks",
    "total_pages": "current_pages",
    "used_chunks": "chunks_used",
    "mem_requested": "mem_requested_bytes",
}


class MemcachedSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`slabs: false` leaves the metrics by slab class out."""

    address: str = "127.0.0.1:11211"
    slabs: bool = True

    def __post_init__(self) -> None:
        parse_address(self.address, DEFAULT_PORT)


class MemcachedCheck(ServiceCheck):
    """`memcached_*`."""

    name = "memcached"
    job = "memcached"
    up_metric = "memcached_up"
    settings_type = MemcachedSettings

    def __init__(self, settings: MemcachedSettings) -> None:
        super().__init__(settings)
        self._address = parse_address(settings.address, DEFAULT_PORT)
        self._has_slabs = settings.slabs

    @property
    def target(self) -> str:
        """See `ServiceCheck.target`."""
        return str(self._address)

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        with Connection.open(self._address, deadline) as connection:
            emit_server(context.emit, self._ask(connection, "stats"))
            if self._has_slabs:
                emit_slabs(context.emit, self._ask(connection, "stats slabs"), self._ask(connection, "stats items"))

    def _ask(self, connection: Connection, command: str) -> dict[str, str]:
        connection.send(f"{command}\r\n".encode())
        found: dict[str, str] = {}
        for _ in range(LINES_MAX):
            line = connection.receive_line().decode(errors="replace")
            if line == "END":
                return found
            word, _, rest = line.partition(" ")
            if word != "STAT":
                raise ServiceError(f"{self.target}: does not answer {command!r} as memcached does: {line[:60]!r}")
            name, _, value = rest.partition(" ")
            found[name] = value
        raise ServiceError(f"{self.target}: more than {LINES_MAX} lines answer {command!r}")


def emit_server(emit: Emission, stats: Mapping[str, str]) -> None:
    """What `stats` says."""
    for field, metric in GAUGES.items():
        if field in stats:
            emit.gauge(f"memcached_{metric}", float(stats[field]))
    for field, metric in COUNTERS.items():
        if field in stats:
            emit.counter(f"memcached_{metric}", float(stats[field]))
    emit.gauge("memcached_version", 1, version=stats["version"])
    for command in COMMANDS:
        for status, field in (
            ("hit", f"{command}_hits"),
            ("miss", f"{command}_misses"),
            ("badval", f"{command}_badval"),
        ):
            if field in stats:
                emit.counter("memcached_commands_total", float(stats[field]), command=command, status=status)
    sets = float(stats["cmd_set"])
    emit.counter("memcached_commands_total", sets, command="set", status="hit")
    emit.counter("memcached_commands_total", float(stats["cmd_flush"]), command="flush", status="hit")


def emit_slabs(emit: Emission, slabs: Mapping[str, str], items: Mapping[str, str]) -> None:
    """What `stats slabs` (`class:field`) and `stats items` (`items:class:field`) say."""
    for key, value in slabs.items():
        slab, colon, field = key.partition(":")
        if colon and field in SLAB_GAUGES:
            emit.gauge(f"memcached_slab_{SLAB_GAUGES[field]}", float(value), slab=slab)
    for key, value in items.items():
        _, slab, field = [*key.split(":"), "", ""][:3]
        if field in ITEM_GAUGES:
            emit.gauge(f"memcached_slab_{ITEM_GAUGES[field]}", float(value), slab=slab)
        elif field in ITEM_COUNTERS:
            emit.counter(f"memcached_slab_items_{ITEM_COUNTERS[field]}", float(value), slab=slab)
