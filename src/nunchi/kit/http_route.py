"""What an HTTP server serves: a method and path, who may call it, how much it may send, and the handler.

Invariant: a route says what it does to the system (`access`); how that is defended is decided by the server, alike for all.
"""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_BYTES_MAX = 4 << 20
INGEST_BODY_BYTES_MAX = 32 << 20


class Access(enum.Enum):
    """What a request to a route does."""

    READ = "read"  # shows something; a POST to it only carries long parameters
    CHANGE = "change"  # changes what users made: silences, dashboards
    LIFECYCLE = "lifecycle"  # reloads or ends the process
    ADMIN = "admin"  # deletes or copies data
    INGEST = "ingest"  # brings samples
    JOIN = "join"  # carries a secret of its own that the handler judges; over TLS or from this machine only


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path. `path` is an aiohttp pattern (`/label/{name}/values`), below the prefix of the external URL.

    A request that changes something must not have a content type that a plain HTML form can send, unless `content_types` names
    it; where `content_types` is given, a body must have one of them.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    body_bytes_max: int | None = None
    content_types: tuple[str, ...] = ()

    @property
    def body_bytes_bound(self) -> int:
        """The most bytes of body that are read, before decoding."""
        if self.body_bytes_max is not None:
            return self.body_bytes_max
        return INGEST_BODY_BYTES_MAX if self.access is Access.INGEST else BODY_BYTES_MAX
