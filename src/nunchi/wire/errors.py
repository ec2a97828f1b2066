"""What may be wrong with bytes from outside. All of it is for the sender to cure.

InputError
└── WireError              the bytes are not what they claim to be
    ├── BodyTooLarge       longer than the reader allows once decompressed
    ├── UnknownVersion     a newer format than this program knows
    ├── DamagedFile        a file of Prometheus is not whole
    └── LineError          one line of a text, by number
        ├── ExpositionError   no scrape can take it: the whole exposition fails
        └── OpenMetricsError  it breaks the OpenMetrics specification

Invariant: a message says what is wrong and where, in words that its sender understands.
"""

from nunchi.kit.errors import InputError


class WireError(InputError):
    """Bytes that are not what they claim to be."""


class BodyTooLarge(WireError):  # noqa: N818 (a condition with an HTTP status of its own)
    """A body longer than allowed, before or after decompression."""


class UnknownVersion(WireError):  # noqa: N818 (a condition, as above)
    """A format version that this program does not know."""


class DamagedFile(WireError):  # noqa: N818 (a condition, as above)
    """Bytes of one of Prometheus's files are not what was written; says where."""


class LineError(WireError):
    """Something wrong on one line of a text."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


class ExpositionError(LineError):
    """A line that no scrape can take; the exposition fails as a whole, as it does in Prometheus."""


class OpenMetricsError(LineError):
    """A line that breaks the OpenMetrics specification."""
