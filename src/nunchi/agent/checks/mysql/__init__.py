"""A MySQL or MariaDB server, under mysqld_exporter's names: status, variables, replication, InnoDB, Galera, more on demand."""

import ssl
from pathlib import Path
from typing import Literal

from nunchi.agent.check import Context
from nunchi.agent.check_service import ServiceCheck
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.checks.mysql.collectors import COLLECTORS, lower
from nunchi.agent.checks.mysql.connection import MysqlConnection, MysqlRefusalError
from nunchi.agent.checks.mysql.status import emit_status, emit_variables
from nunchi.agent.clients.address import parse_address
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.passwords import read_password, require_one_password
from nunchi.kit.secrets import Secret
from nunchi.kit.tls import ClientContext, TlsClientSettings

DEFAULT_PORT = 3306
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


class MysqlSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`collectors`: what is asked beside status and variables, by mysqld_exporter's words."""

    address: str = "127.0.0.1:3306"
    user: str = "root"
    password: Secret = Secret("")
    password_file: str = ""
    tls: bool = False
    tls_config: TlsClientSettings = TlsClientSettings()
    collectors: tuple[Collector, ...] = DEFAULT_COLLECTORS

    def __post_init__(self) -> None:
        parse_address(self.address, DEFAULT_PORT)
        require_one_password(self.password, self.password_file)


class MysqlCheck(ServiceCheck):
    """`mysql_*`. What the server refuses to tell fails the run; `mysql_up` stays 1."""

    name = "mysql"
    job = "mysql"
    up_metric = "mysql_up"
    settings_type = MysqlSettings

    def __init__(self, settings: MysqlSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._address = parse_address(settings.address, DEFAULT_PORT)
        self._tls = ClientContext(settings.tls_config, Path())

    @property
    def target(self) -> str:
        """See `ServiceCheck.target`."""
        return str(self._address)

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        password = read_password(self._own.password, self._own.password_file)
        tls: ssl.SSLContext | None = self._tls.context() if self._own.tls else None
        with MysqlConnection(self._address, self._own.user, password, tls, deadline) as connection:
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
