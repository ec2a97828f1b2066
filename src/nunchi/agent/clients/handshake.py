"""A TLS handshake that is judged and shown: what the certificate says is told even where it is refused."""

import ssl
from pathlib import Path

from nunchi.agent.clients.address import Address
from nunchi.agent.clients.certificate import emit_tls
from nunchi.agent.clients.connection import RECEIVED_BYTES_MAX, Connection
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.emission import Emission
from nunchi.agent.errors import ServiceError
from nunchi.kit.tls import ClientContext, TlsClientSettings


class Handshake:
    """Makes handshakes by settings; contexts are made once."""

    def __init__(self, settings: TlsClientSettings) -> None:
        self._server_name = settings.server_name
        self._context = ClientContext(settings, Path())

    def wrap(
        self, connection: Connection, address: Address, host: str, deadline: Deadline, emit: Emission
    ) -> ssl.SSLSocket:
        """Continue over TLS and show the certificate. ServiceError where it is refused; it is shown then too."""
        try:
            wrapped = connection.wrap_tls(self._context.context(), self._server_name or host)
        except ServiceError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                self._show_refused(address, host, deadline, emit)
            raise
        emit_tls(emit, wrapped)
        return wrapped

    def _show_refused(self, address: Address, host: str, deadline: Deadline, emit: Emission) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with Connection.open(address, deadline, RECEIVED_BYTES_MAX) as connection:
                emit_tls(emit, connection.wrap_tls(context, self._server_name or host))
        except ServiceError:
            return
