"""What several mechanisms ask of their fields. Each raises `FieldError` at the field at fault."""

from urllib.parse import urlsplit

import msgspec

from nunchi.kit.settings import FieldError


def require(settings: msgspec.Struct, *names: str) -> None:
    """These fields must not be empty."""
    for name in names:
        if not getattr(settings, name):
            raise FieldError(f"{name} is missing: give one", name)


def require_one(settings: msgspec.Struct, first: str, second: str) -> None:
    """Exactly one of two fields must be given."""
    if bool(getattr(settings, first)) == bool(getattr(settings, second)):
        raise FieldError(f"give exactly one of {first} and {second}", second)


def exclude(settings: msgspec.Struct, first: str, *others: str) -> None:
    """Beside the first field none of the others may be given."""
    for name in others:
        if getattr(settings, first) and getattr(settings, name):
            raise FieldError(f"{first} and {name} exclude each other: keep one", name)


def require_address(text: str, *steps: str | int) -> None:
    """Anything that can be read as a URL or as a part of one: no scheme that is empty, no blank in a host."""
    host = text.partition("://")[2].partition("/")[0]
    if text.startswith(":") or any(sign.isspace() for sign in host) or not text.isprintable():
        raise FieldError(f'"{text}" is not a URL: write http://host or https://host', *steps)


def require_url(text: str, *steps: str | int, schemes: tuple[str, ...] = ("http", "https")) -> None:
    """An absolute URL of one of these schemes, with a host."""
    require_address(text, *steps)
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in schemes and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        wanted = " or ".join(f"{scheme}://host" for scheme in schemes)
        raise FieldError(f'"{text}" is not a URL: write {wanted}', *steps)
