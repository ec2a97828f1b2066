"""A password from the settings or from a file, which is read anew each time so that rotated ones are used."""

from pathlib import Path

from nunchi.agent.errors import ServiceError
from nunchi.kit.credentials import CredentialsUnreadable, read_secret
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError


def require_one_password(password: Secret, password_file: str) -> None:
    """FieldError where both are given."""
    if password and password_file:
        raise FieldError("password and password_file exclude each other: keep one", "password_file")


def read_password(password: Secret, password_file: str) -> str:
    """The password; ServiceError where its file cannot be read."""
    try:
        return read_secret(password, password_file, Path())
    except CredentialsUnreadable as error:
        raise ServiceError(str(error)) from error
