"""What can go wrong between an alert and a person.

InputError
├── MatcherError       text that is no matcher
└── NotifySettingsError  settings that are valid but cannot be applied here
WorldError
└── SendError          a receiver did not take a notification; says why, and whether trying again may help
"""

from enum import Enum

from nunchi.kit.errors import InputError, WorldError


class MatcherError(InputError):
    """Text that is no matcher."""


class NotifySettingsError(InputError):
    """Settings that cannot be applied: a receiver that does not exist here, templates that do not parse."""


class FailureReason(Enum):
    """Why a notification was not taken; the label `reason` of telemetry."""

    CLIENT_ERROR = "clientError"
    AUTHENTICATION = "authError"
    RATE_LIMITED = "rateLimited"
    SERVER_ERROR = "serverError"
    DEADLINE_EXCEEDED = "contextDeadlineExceeded"
    OTHER = "other"


class SendError(WorldError):
    """A receiver did not take a notification. `retry_after_seconds` is what it asked for, 0 where it did not."""

    def __init__(
        self, message: str, reason: FailureReason, *, is_retryable: bool, retry_after_seconds: float = 0.0
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_retryable = is_retryable
        self.retry_after_seconds = retry_after_seconds
