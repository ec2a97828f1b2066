"""What can go wrong with a cloud.

WorldError
└── CloudError        a call failed or cannot be made; `kind` says what to do about it, `message` names the call
"""

import enum

from nunchi.kit.errors import WorldError


class Kind(enum.Enum):
    """What kind of failure; the label `reason` of the counters."""

    THROTTLED = "throttled"
    SERVER = "server_error"
    UNREACHABLE = "unreachable"
    CREDENTIALS = "credentials"
    DENIED = "denied"
    REGION = "region"
    INVALID = "invalid"
    MISSING = "not_installed"

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed a moment later."""
        return self in {Kind.THROTTLED, Kind.SERVER, Kind.UNREACHABLE}


class CloudError(WorldError):
    """One call that did not give what was asked."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
