"""A PostgreSQL server (10 and later), under postgres_exporter's names, with relations and questions of one's own."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from nunchi.agent.check import Context
from nunchi.agent.check_service import ServiceCheck
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.checks.postgres.connection import PostgresConnection, PostgresRefusalError, Row
from nunchi.agent.checks.postgres.queries import RELATION_QUERIES, SERVER_QUERIES, STATEMENTS_QUERY, Query
from nunchi.agent.checks.postgres.server import (
    ACTIVITY_SQL,
    KINDS,
    SETTINGS_SQL,
    emit_activity,
    emit_settings,
    emit_version,
    number_of,
)
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.passwords import read_password, require_one_password
from nunchi.agent.patterns import compile_pattern
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError

ROWS_MAX = 2000
RELATIONS_MAX = 300
DATABASES_MAX = 50
DEADLINE_SECONDS_MIN = 3.0  # libpq waits no shorter than 2 s for a connection


class PostgresQuerySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A question of one's own: metrics are `<name>_<column>`; every column says what it is."""

    name: str
    query: str
    columns: dict[str, Literal["label", "gauge", "counter", "discard"]]
    rows_max: int = 100

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", self.name):
            raise FieldError(f"{self.name!r} cannot begin a metric's name: use letters, digits and _", "name")
        if not 0 < self.rows_max <= ROWS_MAX:
            raise FieldError(f"between 1 and {ROWS_MAX}", "rows_max")


class PostgresSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`relations`: regular expression on `schema.table`; empty shows none. They are those of `database` and of `databases`."""

    host: str = "127.0.0.1"
    port: int = 5432
    database: str = "postgres"
    user: str = "postgres"
    password: Secret = Secret("")
    password_file: str = ""
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    sslrootcert: str = ""
    sslcert: str = ""
    sslkey: str = ""
    relations: str = ""
    relations_max: int = RELATIONS_MAX
    databases: tuple[str, ...] = ()
    settings: bool = True
    statements: int = 0
    queries: tuple[PostgresQuerySettings, ...] = ()

    def __post_init__(self) -> None:
        compile_pattern("relations", self.relations)
        require_one_password(self.password, self.password_file)
        if len(self.databases) > DATABASES_MAX:
            raise FieldError(f"{DATABASES_MAX} databases are the most", "databases")
        if self.deadline is not None and self.deadline.seconds < DEADLINE_SECONDS_MIN:
            raise FieldError(
                f"{DEADLINE_SECONDS_MIN:g}s is the shortest: a connection is waited for that long", "deadline"
            )

    def parameters(self, database: str) -> dict[str, str | int]:
        """What libpq is told."""
        files = {name: getattr(self, name) for name in ("sslrootcert", "sslcert", "sslkey")}
        return {
            "host": self.host,
            "port": self.port,
            "dbname": database,
            "user": self.user,
            "sslmode": self.sslmode,
            "application_name": "nunchi-agent",
            **{name: value for name, value in files.items() if value},
        }


class PostgresCheck(ServiceCheck):
    """`pg_*`. A query that the server refuses costs its own metrics alone and fails the run; `pg_up` stays 1."""

    name = "postgres"
    job = "postgres"
    up_metric = "pg_up"
    settings_type = PostgresSettings

    def __init__(self, settings: PostgresSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._relations = re.compile(settings.relations) if settings.relations else None
        names = list(dict.fromkeys((settings.database, *settings.databases)))
        self._connections = [PostgresConnection(self.target, settings.parameters(name)) for name in names]

    @property
    def target(self) -> str:
        """See `ServiceCheck.target`."""
        return f"{self._own.host}:{self._own.port}"

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`. Connections are kept between runs that went well."""
        try:
            self._measure(context, deadline)
        except BaseException:
            for connection in self._connections:
                connection.close()
            raise

    def _measure(self, context: Context, deadline: Deadline) -> None:
        password = read_password(self._own.password, self._own.password_file)
        main = self._connections[0]
        main.open(password, deadline)
        self._emit_server(context, main, deadline)
        for query in SERVER_QUERIES:
            self._emit_query(context, main, query, deadline, ROWS_MAX)
        if self._own.statements:
            self._emit_query(context, main, STATEMENTS_QUERY, deadline, self._own.statements)
        for own in self._own.queries:
            self._emit_own(context, main, own, deadline)
        if self._relations is not None:
            for connection in self._connections:
                connection.open(password, deadline)
                for query in RELATION_QUERIES:
                    self._emit_query(context, connection, query, deadline, ROWS_MAX)

    def _emit_server(self, context: Context, connection: PostgresConnection, deadline: Deadline) -> None:
        emit, server = context.emit, self.target
        for row in connection.query("SELECT version() AS version", deadline, 1):
            emit_version(emit, str(row["version"]), connection.version, server)
        databases = self._rows(connection, "SELECT datname FROM pg_database", deadline)
        emit_activity(
            emit, self._rows(connection, ACTIVITY_SQL, deadline), [str(row["datname"]) for row in databases], server
        )
        if self._own.settings:
            emit_settings(emit, self._rows(connection, SETTINGS_SQL, deadline), server)

    def _rows(
        self, connection: PostgresConnection, sql: str, deadline: Deadline, rows_max: int = ROWS_MAX
    ) -> Sequence[Row]:
        try:
            return connection.query(sql, deadline, rows_max)
        except PostgresRefusalError as error:
            self.note_refusal(str(error))
            return []

    def _emit_query(
        self, context: Context, connection: PostgresConnection, query: Query, deadline: Deadline, rows_max: int
    ) -> None:
        if not query.version_min <= connection.version < query.version_max:
            return
        rows = self._rows(connection, query.sql, deadline, rows_max)
        if query in RELATION_QUERIES:
            rows = self._chosen(rows)
        for row in rows:
            labels = {label: str(row[label] if row[label] is not None else "") for label in query.labels}
            if query.has_server_label:
                labels["server"] = self.target
            for column, (metric, kind) in query.columns.items():
                value = number_of(row[column])
                if value is None and query.null_is_zero:
                    value = 0.0
                if value is not None:
                    context.emit.add(KINDS[kind], metric, value, labels)

    def _chosen(self, rows: Sequence[Row]) -> Sequence[Row]:
        assert self._relations is not None
        matching = [row for row in rows if self._relations.search(f"{row['schemaname']}.{row['relname']}")]
        return matching[: self._own.relations_max]

    def _emit_own(
        self, context: Context, connection: PostgresConnection, own: PostgresQuerySettings, deadline: Deadline
    ) -> None:
        for row in self._rows(connection, own.query, deadline, own.rows_max):
            missing = [column for column in own.columns if column not in row]
            if missing:
                self.note_refusal(f"{self.target}: query {own.name} selects no column {missing[0]!r}")
                return
            kinds = own.columns.items()
            labels = {
                column: str(row[column] if row[column] is not None else "") for column, kind in kinds if kind == "label"
            }
            for column, kind in kinds:
                value = number_of(row[column]) if kind in KINDS else None
                if value is not None:
                    context.emit.add(KINDS[kind], f"{own.name}_{column}", value, labels)
