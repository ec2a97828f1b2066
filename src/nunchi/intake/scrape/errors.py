"""What can go wrong while scraping.

ScrapeError (WorldError)       this scrape failed: `up` is 0 and the targets page shows the text
├── ConnectionLostError        the peer closed the connection before it had answered
└── ScrapeLimitError           the answer was larger than the settings allow
"""

from nunchi.kit.errors import WorldError


class ScrapeError(WorldError):
    """Nothing of this scrape is stored but its report."""


class ConnectionLostError(ScrapeError):
    """`answered` says whether any byte of an answer had come: if not, a kept connection had simply grown old."""

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered


class ScrapeLimitError(ScrapeError):
    """A limit of the scrape settings was exceeded."""

    def __init__(self, message: str, *, is_body: bool = False) -> None:
        super().__init__(message)
        self.is_body = is_body
