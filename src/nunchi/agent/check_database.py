"""A check that speaks a database's own protocol over one connection a run: address, password and TLS are the same for all."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from nunchi.agent.check_service import ServiceCheck
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.clients.address import parse_address
from nunchi.agent.clients.connection import Connection
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.passwords import read_password, require_one_password
from nunchi.agent.errors import ServiceError
from nunchi.kit.secrets import Secret
from nunchi.kit.tls import ClientContext, TlsClientSettings


class DatabaseSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`address`: host:port or the path of a Unix socket; `tls_config` counts together with `tls: true`."""

    default_port: ClassVar[int]

    address: str
    password: Secret = Secret("")
    password_file: str = ""
    tls: bool = False
    tls_config: TlsClientSettings = TlsClientSettings()

    def __post_init__(self) -> None:
        parse_address(self.address, self.default_port)
        require_one_password(self.password, self.password_file)

    def read_password(self) -> str:
        """The password as it is now; ServiceError where its file cannot be read."""
        return read_password(self.password, self.password_file)


class DatabaseCheck(ServiceCheck):
    """`measure` asks over `connected`, or over a client of its own to `address`."""

    def __init__(self, settings: DatabaseSettings) -> None:
        super().__init__(settings)
        self.address = parse_address(settings.address, settings.default_port)
        self._is_tls = settings.tls
        self._server_name = settings.tls_config.server_name or self.address.host
        self._context = ClientContext(settings.tls_config, Path())

    @property
    def target(self) -> str:
        """See `ServiceCheck.target`."""
        return str(self.address)

    def tls_context(self) -> ssl.SSLContext | None:
        """What TLS is to be; None where the settings want none."""
        return self._context.context() if self._is_tls else None

    @contextmanager
    def connected(self, deadline: Deadline) -> Iterator[Connection]:
        """A connection, over TLS where that is wanted. A ServiceError raised meanwhile names the target."""
        with Connection.open(self.address, deadline) as connection:
            context = self.tls_context()
            if context is not None:
                connection.wrap_tls(context, self._server_name)
            try:
                yield connection
            except ServiceError as error:
                if str(error).startswith(self.target):
                    raise
                raise ServiceError(f"{self.target}: {error}") from error
