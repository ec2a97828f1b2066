"""One connection to a MySQL or MariaDB server for one run, bounded in time and rows.

Invariant: PyMySQL is imported here alone, when a server is first asked.
"""

import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from nunchi.agent.clients.address import Address
from nunchi.agent.clients.connection import connect
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.watchdog import cut_off
from nunchi.agent.errors import ServiceError

if TYPE_CHECKING:
    pass

Row = Mapping[str, Any]
LOST = frozenset({2006, 2013, 2014, 2055})  # the client's numbers for a connection that is gone


class MysqlConnection:
    """A context manager: open inside, closed after, cut off at the deadline."""

    def __init__(
        self, address: Address, user: str, password: str, tls: ssl.SSLContext | None, deadline: Deadline
    ) -> None:
        try:
            import pymysql
            import pymysql.cursors
        except ImportError as error:
            raise ServiceError("the mysql check needs PyMySQL: pip install 'nunchi[mysql]'") from error
        self._name = str(address)
        self._deadline = deadline
        self._socket = connect(address, deadline)
        self._socket.settimeout(None)
        self._guard = cut_off(self._socket.fileno(), deadline)
        self._guard.__enter__()
        self._connection: pymysql.Connection[Any] | None = None
        connection = pymysql.connect(
            host=address.host or "localhost",
            user=user,
            password=password,
            ssl=tls,
            charset="utf8mb4",
            cursorclass=pymysql.cursors.SSDictCursor,
            connect_timeout=max(1, int(deadline.seconds) + 1),
            program_name="nunchi-agent",
            defer_connect=True,
        )
        try:
            connection.connect(self._socket)
        except (pymysql.MySQLError, OSError, ValueError, LookupError, TypeError) as error:
            self.close()
            raise self._failure(error) from error
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close without a word: the server does not mind."""
        self._guard.__exit__(None, None, None)
        self._socket.close()

    def query(self, sql: str, rows_max: int) -> Sequence[Row]:
        """At most `rows_max` rows. MysqlRefusalError where the server refuses the query, ServiceError where it is gone."""
        import pymysql

        assert self._connection is not None
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                rows = cursor.fetchmany(rows_max)
                cursor.fetchall()
                return list(rows)
        except pymysql.MySQLError as error:
            number = error.args[0] if error.args else 0
            if number in LOST or isinstance(error, pymysql.InterfaceError):
                raise self._failure(error) from error
            raise MysqlRefusalError(f"{self._name}: {text_of(error)}") from error
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ServiceError:
        try:
            self._deadline.remaining_seconds(self._name)
        except ServiceError as late:
            return late
        return ServiceError(f"{self._name}: {text_of(error)}")


class MysqlRefusalError(ServiceError):
    """The server refused one query; the connection is as good as before."""


def text_of(error: Exception) -> str:
    """What the server or the library says."""
    if len(error.args) > 1:
        return str(error.args[1])
    return str(error) or "does not speak MySQL's protocol"
