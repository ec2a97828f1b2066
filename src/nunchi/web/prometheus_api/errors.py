"""What the API answers instead of data: an error type of Prometheus's, its HTTP status, and a sentence.

NunchiError
└── ApiError        one answer; raised by handlers, written by `envelope`
"""

from nunchi.kit.errors import NunchiError

STATUSES = {
    "bad_data": 400,
    "execution": 422,
    "canceled": 499,
    "timeout": 503,
    "internal": 500,
    "unavailable": 500,
    "not_found": 404,
    "not_acceptable": 406,
}


class ApiError(NunchiError):
    """Ends a request with this error type and message."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type

    @property
    def status(self) -> int:
        """The HTTP status of the error type."""
        return STATUSES[self.error_type]

    @classmethod
    def bad_data(cls, message: str) -> "ApiError":
        """The request cannot be understood."""
        return cls("bad_data", message)


def invalid_parameter(name: str, reason: str) -> ApiError:
    """The error that names a parameter."""
    return ApiError.bad_data(f'invalid parameter "{name}": {reason}')
