"""The agent's own failures.

WorldError
├── Unavailable       the host does not have what a check measures
├── ServiceError      a service that a check watches does not answer as it should
├── DeliveryError     the server could not be asked, or did not answer in time
└── JoinRefusedError  the server does not take the agent in
"""

from nunchi.kit.errors import WorldError


class Unavailable(WorldError):  # noqa: N818 (a state of the host, not an error of ours)
    """The host does not have what the check measures; what was emitted before stands."""


class ServiceError(WorldError):
    """What a service did instead of answering; names the service."""


class DeliveryError(WorldError):
    """A payload's fate is unknown: it is kept and sent again."""


class JoinRefusedError(WorldError):
    """The server does not take the agent in; says why."""
