"""Who we are to a peer: the headers that settings and their files say, read at every request so that rotated secrets are used.

Invariant: a secret leaves this module only as the value of a header.
"""

import base64
from pathlib import Path

from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.secrets import Secret

SECRET_BYTES_MAX = 1 << 20

Headers = list[tuple[str, str]]


class CredentialsUnreadable(Exception):  # noqa: N818 - the client makes the error of it, with method and URL
    """A file of credentials cannot be used; the text says which and why."""


def configured_headers(settings: HttpClientSettings, folder: Path) -> Headers:
    """`http_headers` and the Authorization header; relative files are below `folder`. Raises CredentialsUnreadable."""
    headers: Headers = []
    for name, header in settings.http_headers.items():
        headers += [(name, value) for value in header.values]
        headers += [(name, secret.reveal()) for secret in header.secrets]
        headers += [(name, read_secret(Secret(""), file_name, folder)) for file_name in header.files]
    authorization = _authorization(settings, folder)
    return [*headers, ("Authorization", authorization)] if authorization else headers


def basic(user: str, password: str) -> str:
    """The value of an Authorization header for a user and password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def read_secret(inline: Secret, file_name: str, folder: Path) -> str:
    """The text of a secret or of its file, without blanks at the ends. Raises CredentialsUnreadable."""
    if not file_name:
        return inline.reveal()
    path = folder / file_name
    try:
        with path.open("rb") as file:
            return file.read(SECRET_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise CredentialsUnreadable(f"{path}: {reason}") from error


def _authorization(settings: HttpClientSettings, folder: Path) -> str:
    if settings.basic_auth is not None:
        pair = settings.basic_auth
        user = read_secret(Secret(pair.username), pair.username_file, folder)
        return basic(user, read_secret(pair.password, pair.password_file, folder))
    if settings.authorization is not None:
        credentials = read_secret(settings.authorization.credentials, settings.authorization.credentials_file, folder)
        return f"{settings.authorization.type.strip()} {credentials}"
    if settings.bearer_token or settings.bearer_token_file:
        return f"Bearer {read_secret(settings.bearer_token, settings.bearer_token_file, folder)}"
    return ""
