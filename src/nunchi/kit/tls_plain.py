"""What a TLS port says to who speaks plain HTTP to it: an answer in HTTP, where OpenSSL alone would hang up without a word.

The status is 426, not 400: a 400 would say of a payload that it can never be taken, and its sender would give it up.
Invariant: nothing of the request is read beyond what showed that it is no TLS, and nothing of the server is told.
"""

import ssl
from typing import Any

_WORDS = b"this port speaks TLS: write https:// in place of http://\n"
ANSWER = (
    b"HTTP/1.0 426 Upgrade Required\r\nUpgrade: TLS/1.2\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_WORDS), _WORDS)
)


class AnsweringObject(ssl.SSLObject):
    """One connection; `outgoing` is what it sends."""

    outgoing: ssl.MemoryBIO
    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Shake hands, or answer in plain HTTP and wait for the peer to go; who sends more is hung up on."""
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            if error.reason != "HTTP_REQUEST":
                raise
            self._failure = error
            self.outgoing.read()  # an alert, which nobody there would understand
            self.outgoing.write(ANSWER)
            raise ssl.SSLWantReadError from error  # asyncio sends what there is to send before it waits


class AnsweringContext(ssl.SSLContext):
    """A context for listening with asyncio whose connections answer plain HTTP."""

    sslobject_class = AnsweringObject

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *arguments: Any, **named: Any
    ) -> ssl.SSLObject:
        """See `ssl.SSLContext.wrap_bio`."""
        wrapped = super().wrap_bio(incoming, outgoing, *arguments, **named)
        assert isinstance(wrapped, AnsweringObject)
        wrapped.outgoing = outgoing
        return wrapped
