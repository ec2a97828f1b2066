"""One connection to a PostgreSQL server, kept between runs; read-only, and bounded in time and rows.

Invariant: psycopg is imported here alone, when a server is first asked.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nunchi.agent.clients.address import resolve
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.watchdog import cut_off
from nunchi.agent.errors import ServiceError

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS_MIN = 2  # libpq waits no shorter
Row = Mapping[str, Any]


class PostgresConnection:
    """Opens itself when it is first asked, and again after a failure."""

    def __init__(self, name: str, parameters: Mapping[str, str | int]) -> None:
        self._name = name
        self._parameters = dict(parameters)
        self._connection: psycopg.Connection[dict[str, Any]] | None = None
        self.version = 0

    def open(self, password: str, deadline: Deadline) -> None:
        """Connect unless connected."""
        if self._connection is not None and not self._connection.closed:
            return
        self._connection = self._connect(password, deadline)
        self.version = self._connection.info.server_version
        milliseconds = max(100, int(deadline.seconds * 1000))
        self.query(f"SET statement_timeout = {milliseconds}", deadline, 0)
        self.query("SET default_transaction_read_only = on", deadline, 0)

    def close(self) -> None:
        """Close; the next question opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def query(self, sql: str, deadline: Deadline, rows_max: int) -> Sequence[Row]:
        """At most `rows_max` rows. PostgresRefusalError where the server refuses the query, ServiceError where it is gone."""
        import psycopg

        assert self._connection is not None
        try:
            with cut_off(self._connection.fileno(), deadline), self._connection.cursor() as cursor:
                cursor.execute(sql.encode())
                return cursor.fetchmany(rows_max) if cursor.description else []
        except psycopg.Error as error:
            if self._connection.closed or self._connection.broken:
                self.close()
                deadline.remaining_seconds(self._name)
                raise ServiceError(f"{self._name}: {first_line(error)}") from error
            raise PostgresRefusalError(f"{self._name}: {first_line(error)}") from error

    def _connect(self, password: str, deadline: Deadline) -> "psycopg.Connection[dict[str, Any]]":
        try:
            import psycopg
            from psycopg.rows import dict_row
        except ImportError as error:
            raise ServiceError("the postgres check needs psycopg: pip install 'nunchi[postgres]'") from error
        host = str(self._parameters["host"])
        hosts = [""] if host.startswith("/") else [str(one[1][0]) for one in resolve(host, 1, deadline)]
        reason = ""
        for one in hosts:
            seconds = max(CONNECT_SECONDS_MIN, int(deadline.remaining_seconds(self._name)))
            try:
                told = {**self._parameters, "password": password, "connect_timeout": seconds}
                if one:
                    told["hostaddr"] = one
                return psycopg.connect(
                    psycopg.conninfo.make_conninfo("", **told),
                    autocommit=True,
                    row_factory=dict_row,
                    prepare_threshold=None,
                )
            except psycopg.Error as error:
                reason = first_line(error)
        raise ServiceError(f"{self._name}: {reason}")


class PostgresRefusalError(ServiceError):
    """The server refused one query; the connection is as good as before."""


def first_line(error: BaseException) -> str:
    """What the server or the library says, without hints and excerpts."""
    return (str(error).strip() or type(error).__name__).split("\n")[0]
