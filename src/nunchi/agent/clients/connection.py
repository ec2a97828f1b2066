"""One stream connection, bounded altogether: in time by a deadline, in bytes received by a maximum.

Invariant: every wait is shorter than what remains of the deadline, so that a peer that sends a byte now and then holds nobody.
"""

import io
import socket
import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nunchi.agent.clients.address import Address, resolve
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.errors import ServiceError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # in collections.abc from Python 3.12 on

RECEIVED_BYTES_MAX = 16 << 20
LINE_BYTES_MAX = 64 << 10


class Connection:
    """Open until closed; a context manager."""

    def __init__(self, raw: socket.socket, name: str, deadline: Deadline, received_bytes_max: int) -> None:
        self._socket = raw
        self._name = name
        self._deadline = deadline
        self._reader = _Reader(raw, name, deadline, received_bytes_max)
        self._buffered = io.BufferedReader(self._reader)

    @classmethod
    def open(cls, address: Address, deadline: Deadline, received_bytes_max: int = RECEIVED_BYTES_MAX) -> "Connection":
        """Connect to the first of the address's hosts that answers; ServiceError names the address."""
        return cls(connect(address, deadline), str(address), deadline, received_bytes_max)

    def wrap_tls(self, context: ssl.SSLContext, server_name: str) -> ssl.SSLSocket:
        """Continue over TLS. ServiceError where there is no agreement."""
        self._socket.settimeout(self._deadline.remaining_seconds(self._name))
        try:
            wrapped = context.wrap_socket(self._socket, server_hostname=server_name)
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise ServiceError(f"{self._name}: TLS: {tls_reason(error)}") from error
        except OSError as error:
            raise ServiceError(f"{self._name}: TLS: {error.strerror or error}") from error
        self._socket = wrapped
        self._reader = _Reader(wrapped, self._name, self._deadline, self._reader.received_bytes_max)
        self._buffered = io.BufferedReader(self._reader)
        return wrapped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._buffered.close()
        self._socket.close()

    def send(self, content: bytes) -> None:
        """Send everything."""
        self._socket.settimeout(self._deadline.remaining_seconds(self._name))
        try:
            self._socket.sendall(content)
        except OSError as error:
            raise ServiceError(f"{self._name}: {error.strerror or error}") from error

    def receive_line(self, bytes_max: int = LINE_BYTES_MAX) -> bytes:
        """A line without its end; ServiceError where the peer closes before."""
        line = self._buffered.readline(bytes_max)
        if not line.endswith(b"\n"):
            reason = "closed the connection in the middle of a line" if len(line) < bytes_max else "sends endless lines"
            raise ServiceError(f"{self._name}: {reason}")
        return line.rstrip(b"\r\n")

    def receive_exactly(self, count: int) -> bytes:
        """So many bytes; ServiceError where the peer closes before."""
        if count > self._reader.received_bytes_max:
            raise ServiceError(
                f"{self._name}: announces {count} bytes; {self._reader.received_bytes_max} are read at most"
            )
        content = self._buffered.read(count)
        if content is None or len(content) < count:
            raise ServiceError(f"{self._name}: closed the connection in the middle of its answer")
        return content

    def makefile(self, _mode: str = "rb", _buffering: int = -1) -> "io.BufferedReader[_Reader]":
        """The reading side, as `http.client.HTTPResponse` wants it."""
        return self._buffered

    def as_socket(self) -> socket.socket:
        """Itself, for `http.client.HTTPResponse`, which asks a socket for nothing but its `makefile`."""
        return self  # type: ignore[return-value]  # see above


TLS_RECORDS = (b"\x15\x03", b"\x16\x03")  # an alert, a handshake


class _Reader(io.RawIOBase):
    """Reads from a socket as long as time and bytes remain."""

    def __init__(self, raw: socket.socket, name: str, deadline: Deadline, received_bytes_max: int) -> None:
        self._socket = raw
        self._name = name
        self._deadline = deadline
        self.received_bytes_max = received_bytes_max
        self._received = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "Buffer") -> int:
        """See io.RawIOBase."""
        self._socket.settimeout(self._deadline.remaining_seconds(self._name))
        try:
            count = self._socket.recv_into(buffer)
        except TimeoutError:
            self._deadline.remaining_seconds(self._name)
            raise ServiceError(f"{self._name}: no whole answer within {self._deadline.seconds:.3g} s") from None
        except OSError as error:
            raise ServiceError(f"{self._name}: {error.strerror or error}") from error
        if not self._received and not isinstance(self._socket, ssl.SSLSocket):
            self._refuse_tls(bytes(memoryview(buffer)[:count]))
        self._received += count
        if self._received > self.received_bytes_max:
            raise ServiceError(f"{self._name}: the answer is larger than {self.received_bytes_max} bytes")
        return count

    def _refuse_tls(self, beginning: bytes) -> None:
        """ServiceError where the peer wants TLS, which it says with an alert, or by hanging up."""
        if beginning.startswith(TLS_RECORDS):
            raise ServiceError(f"{self._name}: speaks TLS, and was asked without: set it up for this check")
        if not beginning:
            raise ServiceError(f"{self._name}: closed the connection without an answer; does it want TLS?")


def connect(address: Address, deadline: Deadline) -> socket.socket:
    """A connected socket."""
    targets: Sequence[tuple[int, object]] = [(socket.AF_UNIX, address.path)]
    if not address.path:
        targets = resolve(address.host, address.port, deadline)
    reason = ""
    for family, target in targets:
        raw = socket.socket(family, socket.SOCK_STREAM)
        try:
            raw.settimeout(deadline.remaining_seconds(str(address)))
            raw.connect(target)  # type: ignore[arg-type]  # of the family that stands beside it
        except TimeoutError:
            reason = f"does not answer within {deadline.seconds:.3g} s"
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            return raw
        raw.close()
    raise ServiceError(f"{address}: {reason}")


def tls_reason(error: Exception) -> str:
    """What went wrong, in OpenSSL's words without its line numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).replace("_", " ").lower()
    return str(error)
