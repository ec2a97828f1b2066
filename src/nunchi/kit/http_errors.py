"""How a request to a peer fails. Messages name method and URL, without credentials, and the cause.

WorldError
└── HttpClientError
    ├── HttpConnectError       no connection: refused, unreachable, unknown name, broken off
    ├── HttpTlsError           the peer's certificate or ours does not do
    ├── HttpTimeoutError       the whole exchange did not fit its time
    ├── HttpProtocolError      what came back is not HTTP
    ├── HttpBodyTooLargeError  the answer is longer than whoever asked can use
    ├── HttpRedirectError      too many redirects, or one to nowhere
    └── HttpCredentialsError   a file with a secret or certificate cannot be read, or no token was given
"""

from nunchi.kit.errors import WorldError
from nunchi.kit.secrets import redact_url


class HttpClientError(WorldError):
    """A request that got no answer."""

    def __init__(self, method: str, url: str, reason: str) -> None:
        self.url = redact_url(url)
        self.reason = reason
        super().__init__(f"{method} {self.url}: {reason}")


class HttpConnectError(HttpClientError):
    """No connection."""


class HttpTlsError(HttpClientError):
    """No trust."""


class HttpTimeoutError(HttpClientError):
    """No answer in time."""


class HttpProtocolError(HttpClientError):
    """No HTTP."""


class HttpBodyTooLargeError(HttpClientError):
    """Too much of an answer."""


class HttpRedirectError(HttpClientError):
    """No end of redirects."""


class HttpCredentialsError(HttpClientError):
    """Nothing to prove who we are with."""
