"""A Redis or Valkey server, under redis_exporter's names."""

from nunchi.agent.check import Context
from nunchi.agent.check_database import DatabaseCheck, DatabaseSettings
from nunchi.agent.checks.redis.fields import CLUSTER_GAUGES
from nunchi.agent.checks.redis.info import (
    emit_commands,
    emit_configuration,
    emit_databases,
    emit_info,
    find_number,
    parse_info,
)
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.redis import RedisClient, RedisError, Reply
from nunchi.agent.emission import Emission
from nunchi.agent.errors import ServiceError
from nunchi.kit.settings import FieldError

DATABASES = 16
KEYS_MAX = 200
LENGTH_COMMANDS = {
    "list": "LLEN",
    "set": "SCARD",
    "zset": "ZCARD",
    "hash": "HLEN",
    "stream": "XLEN",
    "string": "STRLEN",
}


class RedisSettings(DatabaseSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`keys`: `db0:name` of keys whose size is shown."""

    default_port = 6379

    address: str = "127.0.0.1:6379"
    username: str = ""
    keys: tuple[str, ...] = ()
    commands: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.keys) > KEYS_MAX:
            raise FieldError(f"at most {KEYS_MAX} keys", "keys")
        for key in self.keys:
            split_key(key)


class RedisCheck(DatabaseCheck):
    """`redis_*`."""

    name = "redis"
    job = "redis"
    up_metric = "redis_up"
    settings_type = RedisSettings

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings)
        self._own = settings

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        with self.connected(deadline) as connection:
            self._ask(RedisClient(connection), context)

    def _ask(self, client: RedisClient, context: Context) -> None:
        self._authenticate(client)
        emit = context.emit
        info = parse_info(find_text(client, "INFO", "ALL") or client.ask_for_text("INFO"))
        if "redis_version" not in info and "valkey_version" not in info:
            raise ServiceError("INFO is answered, but not as Redis does")
        configuration = find_configuration(client)
        emit_info(emit, info, context.clock.now())
        emit_configuration(emit, configuration)
        emit_databases(emit, info, int(find_number(configuration.get("databases")) or DATABASES))
        if self._own.commands:
            emit_commands(emit, info)
        emit_slow_log(emit, client)
        emit_latency(emit, client)
        if info.get("cluster_enabled") == "1":
            emit_cluster(emit, parse_info(find_text(client, "CLUSTER", "INFO")))
        for key in self._own.keys:
            emit_key(emit, client, *split_key(key))

    def _authenticate(self, client: RedisClient) -> None:
        password = self._own.read_password()
        if not password:
            return
        try:
            client.ask("AUTH", *([self._own.username] if self._own.username else []), password)
        except RedisError as error:
            raise ServiceError(f"the password is refused: {error}") from error


def find_text(client: RedisClient, *words: str) -> str:
    """A reply that is text; empty where the server refuses the command, as managed ones do."""
    try:
        return client.ask_for_text(*words)
    except RedisError as error:
        if str(error).startswith(("NOAUTH", "WRONGPASS")):
            raise
        return ""


def find_configuration(client: RedisClient) -> dict[str, str]:
    """The server's configuration; empty where it does not tell."""
    try:
        words = [text_of(item) for item in client.ask_for_list("CONFIG", "GET", "*")]
    except RedisError:
        return {}
    return dict(zip(words[::2], words[1::2], strict=False))


def emit_slow_log(emit: Emission, client: RedisClient) -> None:
    """How long the slow log is, and its last entry."""
    try:
        emit.gauge("redis_slowlog_length", client.ask_for_number("SLOWLOG", "LEN"))
        entries = client.ask_for_list("SLOWLOG", "GET", "1")
    except RedisError:
        return
    number, microseconds = 0, 0
    if entries and isinstance(entries[0], list) and len(entries[0]) >= 3:  # servers differ in what follows
        first, _, third = entries[0][:3]
        number, microseconds = (first if isinstance(first, int) else 0), (third if isinstance(third, int) else 0)
    emit.gauge("redis_slowlog_last_id", number)
    emit.gauge("redis_last_slow_execution_duration_seconds", microseconds / 1e6)


def emit_latency(emit: Emission, client: RedisClient) -> None:
    """The latest spike of each kind of event; none unless the server watches for them."""
    try:
        spikes = client.ask_for_list("LATENCY", "LATEST")
    except RedisError:
        return
    for spike in spikes:
        if isinstance(spike, list) and len(spike) >= 3 and isinstance(spike[1], int) and isinstance(spike[2], int):
            emit.gauge("redis_latency_spike_last", spike[1], event_name=text_of(spike[0]))
            emit.gauge("redis_latency_spike_duration_seconds", spike[2] / 1000, event_name=text_of(spike[0]))


def emit_cluster(emit: Emission, info: dict[str, str]) -> None:
    """What CLUSTER INFO says."""
    emit.gauge("redis_cluster_state", 1 if info.get("cluster_state") == "ok" else 0)
    for field, metric in CLUSTER_GAUGES.items():
        value = find_number(info.get(field))
        if value is not None:
            emit.gauge(f"redis_{metric}", value)


def emit_key(emit: Emission, client: RedisClient, database: str, key: str) -> None:
    """The size of one key: its members, or its bytes; a key that is absent is 0."""
    client.ask("SELECT", database)
    kind = client.ask_for_text("TYPE", key)
    size = client.ask_for_number(LENGTH_COMMANDS[kind], key) if kind in LENGTH_COMMANDS else 0
    emit.gauge("redis_key_size", size, db=f"db{database}", key=key)


def split_key(text: str) -> tuple[str, str]:
    """Database and name of `db0:name`."""
    database, colon, key = text.partition(":")
    number = database.removeprefix("db")
    if not colon or not number.isdecimal() or not key:
        raise FieldError(f"{text!r} is not a key: write db0:name", "keys")
    return number, key


def text_of(reply: Reply) -> str:
    """A part of a reply as text."""
    return reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
