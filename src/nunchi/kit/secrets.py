"""Text that must not be seen, and addresses that may carry some.

Invariant: no way of printing, formatting, logging or dumping shows what `reveal` returns.
"""

import hmac
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

REDACTED = "<secret>"


class Secret:
    """A password, token or key; `str()` and `repr()` give `<secret>`, or nothing where it is empty."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def parse(cls, text: str) -> "Secret":
        """The secret of a settings file."""
        return cls(text)

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        """Compare in a time that does not tell where the difference is."""
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return REDACTED if self._text else ""

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def redact_url(url: str) -> str:
    """The URL with its password replaced; the user name stays, because it helps to find the fault."""
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return REDACTED if "@" in url else url
    if password is None:
        return url
    user_information, _, host = parts.netloc.rpartition("@")
    user = user_information.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:{REDACTED}@{host}"))


class Url:
    """An absolute http(s) URL of a settings file; `str()` hides a password in it, `reveal()` does not."""

    __slots__ = ("_text", "host", "path", "scheme")

    def __init__(self, text: str) -> None:
        self._text = text
        parts = urlsplit(text)
        self.scheme = parts.scheme
        self.host = parts.hostname or ""
        self.path = parts.path

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Raises ValueError unless `text` has a scheme of http or https and a host."""
        try:
            parts = urlsplit(text)
            valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid or any(character.isspace() for character in text):
            raise ValueError(f'"{redact_url(text)}" is not a URL: write it in full, as in http://host:9090/path')
        return cls(text)

    def reveal(self) -> str:
        """The whole text, for the one place that connects."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and self._text == other._text

    def __hash__(self) -> int:
        return hash((Url, self._text))

    def __str__(self) -> str:
        return redact_url(self._text)

    def __repr__(self) -> str:
        return f"Url({redact_url(self._text)!r})"
