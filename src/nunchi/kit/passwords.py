"""Users and bcrypt hashes: whether a Basic authorization header names one of them and knows the password.

A comparison costs tens of milliseconds by design. So successful ones are remembered under a keyed hash, all run beside the
loop, and few at a time. Invariant: an unknown user costs the same time as a wrong password.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping

from nunchi.kit.errors import InputError
from nunchi.kit.secrets import Secret

REMEMBERED_MAX = 1000
COMPARISONS_MAX = 2
WAITING_MAX = 50
PASSWORD_BYTES_MAX = 72  # bcrypt looks at no more; Go's silently, this one's not


class Busy(Exception):  # noqa: N818 - the answer is 503, nobody's error
    """So many passwords wait to be compared that one more is refused."""


class PasswordFile:
    """The users of one `--web.config.file`; a new file is a new object, which remembers nothing of the old one."""

    def __init__(self, users: Mapping[str, Secret]) -> None:
        self._users = {name: secret.reveal().encode() for name, secret in users.items()}
        self._compare = _comparison() if users else None
        self._remembered: dict[bytes, None] = {}
        self._key = secrets.token_bytes(32)
        self._turns = asyncio.Semaphore(COMPARISONS_MAX)
        self._waiting = 0

    def __bool__(self) -> bool:
        return bool(self._users)

    async def user_of(self, authorization: str) -> str | None:
        """The user whom an Authorization header proves to be, None where it proves nothing. Raises Busy."""
        pair = _basic_pair(authorization)
        if pair is None or not self._users:
            return None
        name, password = pair
        known = self._users.get(name)
        hashed = known if known is not None else next(iter(self._users.values()))
        fingerprint = self._fingerprint(name, password, hashed)
        if known is not None and fingerprint in self._remembered:
            return name
        if not await self._is_match(password, hashed) or known is None:
            return None
        while len(self._remembered) >= REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[fingerprint] = None
        return name

    def _fingerprint(self, name: str, password: bytes, hashed: bytes) -> bytes:
        parts = b"".join(len(part).to_bytes(4, "big") + part for part in (name.encode(), password, hashed))
        return hmac.digest(self._key, parts, hashlib.sha256)

    async def _is_match(self, password: bytes, hashed: bytes) -> bool:
        assert self._compare is not None
        if self._waiting >= WAITING_MAX:
            raise Busy
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(self._compare, password[:PASSWORD_BYTES_MAX], hashed)
        finally:
            self._waiting -= 1


def _comparison() -> Callable[[bytes, bytes], bool]:
    try:
        import bcrypt  # the agent's installation has none
    except ImportError as error:
        raise InputError(
            "basic_auth_users needs bcrypt: install nunchi with its server extra, nunchi[server]"
        ) from error

    def is_match(password: bytes, hashed: bytes) -> bool:
        try:
            return bcrypt.checkpw(password, hashed)
        except ValueError:
            return False

    return is_match


def _basic_pair(authorization: str) -> tuple[str, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None
