"""A MySQL or MariaDB server, under mysqld_exporter's names: status, variables, replication, InnoDB, Galera, more on demand."""

from typing import Literal

from nunchi.agent.check import Context
from nunchi.agent.check_database import DatabaseCheck, DatabaseSettings
from nunchi.agent.checks.mysql.collectors import COLLECTORS, lower
from nunchi.agent.checks.mysql.connection import MysqlConnection, MysqlRefusalError
from nunchi.agent.checks.mysql.status import emit_status, emit_variables
from nunchi.agent.clients.deadline import Deadline

VARIABLES_MAX = 5000
Collector = Literal[
    "slave_status",
    "innodb_cmp",
    "engine_innodb_status",
    "innodb_metrics",
    "binlog_size",
    "processlist",
    "tables",
    "statements",
]
DEFAULT_COLLECTORS: tuple[Collector, ...] = ("slave_status", "innodb_cmp", "engine_innodb_status", "binlog_size")


class MysqlSettings(DatabaseSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`collectors`: what is asked beside status and variables, by mysqld_exporter's words."""

    default_port = 3306

    address: str = "127.0.0.1:3306"
    user: str = "root"
    collectors: tuple[Collector, ...] = DEFAULT_COLLECTORS


class MysqlCheck(DatabaseCheck):
    """`mysql_*`. What the server refuses to tell fails the run; `mysql_up` stays 1."""

    name = "mysql"
    job = "mysql"
    up_metric = "mysql_up"
    settings_type = MysqlSettings

    def __init__(self, settings: MysqlSettings) -> None:
        super().__init__(settings)
        self._own = settings

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        password = self._own.read_password()
        with MysqlConnection(self.address, self._own.user, password, self.tls_context(), deadline) as connection:
            emit_status(context.emit, self._table(connection, "SHOW GLOBAL STATUS"))
            emit_variables(context.emit, self._table(connection, "SHOW GLOBAL VARIABLES"))
            for name in dict.fromkeys(self._own.collectors):
                try:
                    COLLECTORS[name](connection, context.emit)
                except MysqlRefusalError as error:
                    self.note_refusal(f"{name}: {error}")

    def _table(self, connection: MysqlConnection, question: str) -> dict[str, str]:
        rows = [lower(row) for row in connection.query(question, VARIABLES_MAX)]
        return {row["variable_name"].lower(): row["value"] for row in rows}
