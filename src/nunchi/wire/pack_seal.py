"""Who a pack is from, and that nobody has read or changed it: keys of a session, sealing and opening.

The session's keys are derived (HKDF, RFC 5869, SHA-256) from the agent's key, 16 random bytes of the agent and 16 of the
server, so that a machine that was cloned never uses a nonce again, and what was said to an earlier server process is not
believed by this one.
Invariant: a key seals each nonce at most once; nothing of a body is looked at before its seal holds.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from nunchi.wire.errors import WireError

SEAL_BYTES = 16
SALT_BYTES = 16
KEY_BYTES = 32
KEY_BYTES_MIN = 16
SESSION_BYTES = 8


class PackMode(Enum):
    """`aead`: encrypted and authenticated (ChaCha20-Poly1305); `hmac`: authenticated alone (HMAC-SHA-256, 16 bytes)."""

    AEAD = "aead"
    HMAC = "hmac"


class SealError(WireError):
    """The seal does not hold: another key, or not the bytes that were sealed."""


class Sealer(Protocol):
    """One direction of one session."""

    def seal(self, nonce: bytes, body: bytes, head: bytes) -> bytes:
        """The body, encrypted where the mode does, and its seal over head and body."""
        ...

    def open(self, nonce: bytes, sealed: bytes, head: bytes) -> bytes:
        """The body. Raises SealError."""
        ...


class AeadSealer:
    """ChaCha20-Poly1305 (RFC 8439): constant time everywhere, and faster than HMAC where it counts."""

    def __init__(self, key: bytes) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        self._cipher = ChaCha20Poly1305(key)
        self._invalid = InvalidTag

    def seal(self, nonce: bytes, body: bytes, head: bytes) -> bytes:
        """See `Sealer.seal`."""
        return self._cipher.encrypt(nonce, body, head)

    def open(self, nonce: bytes, sealed: bytes, head: bytes) -> bytes:
        """See `Sealer.open`."""
        try:
            return self._cipher.decrypt(nonce, sealed, head)
        except self._invalid:
            raise SealError("pack: its seal does not hold") from None


class HmacSealer:
    """HMAC-SHA-256, cut to 16 bytes. The body can be read by who listens."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, nonce: bytes, body: bytes, head: bytes) -> bytes:
        """See `Sealer.seal`."""
        return body + self._sign(nonce, body, head)

    def open(self, nonce: bytes, sealed: bytes, head: bytes) -> bytes:
        """See `Sealer.open`."""
        body, seal = sealed[:-SEAL_BYTES], sealed[-SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._sign(nonce, body, head)):
            raise SealError("pack: its seal does not hold")
        return body

    def _sign(self, nonce: bytes, body: bytes, head: bytes) -> bytes:
        length = len(head).to_bytes(4, "big")
        return hmac.digest(self._key, length + head + nonce + body, "sha256")[:SEAL_BYTES]


SEALERS: dict[PackMode, Callable[[bytes], Sealer]] = {PackMode.AEAD: AeadSealer, PackMode.HMAC: HmacSealer}


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What a session is known by, and the sealers of its two directions."""

    id: bytes
    to_server: Sealer
    to_agent: Sealer


def pack_key(text: str) -> bytes:
    """The key of packs that a text stands for. Of an agent's own key, `id.secret`, it is what the server keeps of it."""
    return hashlib.sha256((text.partition(".")[2] or text).encode()).digest()


def check_mode(mode: PackMode) -> None:
    """Raises SealError where this installation cannot seal so."""
    try:
        SEALERS[mode](bytes(KEY_BYTES))
    except ImportError as error:
        raise SealError(
            "pack: mode aead needs the cryptography package: pip install nunchi[pack], or set mode: hmac"
        ) from error


def derive(key: bytes, salt: bytes, purpose: bytes, length: int = KEY_BYTES) -> bytes:
    """HKDF for one block of output, at most 32 bytes."""
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, b"nunchi pack 1 " + purpose + b"\x01", "sha256")[:length]


def hello_sealer(key: bytes, salt: bytes, mode: PackMode) -> Sealer:
    """For the one hello of these random bytes, from the agent."""
    return SEALERS[mode](derive(key, salt, b"hello " + mode.value.encode()))


def welcome_sealer(key: bytes, salt: bytes, mode: PackMode) -> Sealer:
    """For answers to that hello; their nonces are random."""
    return SEALERS[mode](derive(key, salt, b"welcome " + mode.value.encode()))


def session_keys(key: bytes, salt: bytes, cookie: bytes, mode: PackMode) -> SessionKeys:
    """The session of these random bytes of both sides."""
    suffix = b" " + mode.value.encode() + b" " + cookie
    return SessionKeys(
        derive(key, salt, b"session" + suffix, SESSION_BYTES),
        SEALERS[mode](derive(key, salt, b"to server" + suffix)),
        SEALERS[mode](derive(key, salt, b"to agent" + suffix)),
    )


def make_cookie(secret: bytes, agent_id: str, salt: bytes) -> bytes:
    """What a server tells an agent at its hello, and finds again without having kept it."""
    return hmac.digest(secret, b"cookie " + salt + agent_id.encode(), "sha256")[:SALT_BYTES]
