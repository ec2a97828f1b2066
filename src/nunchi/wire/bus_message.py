"""An agent's payloads on a message bus, and a server's answers: who they are from, and that nobody has changed them
(docs/formats/bus.md).

Seals are those of packs (`pack_seal`), by keys derived from the agent's key and 16 random bytes of the message. What a server
says of a message that no key opens is not sealed, and may make an agent keep a payload, never give one up.
Invariant: nothing of a body is looked at before its seal holds; no key seals two messages with one nonce.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from nunchi.wire.errors import UnknownVersion, WireError
from nunchi.wire.pack_seal import SALT_BYTES, SEALERS, PackMode, Sealer, SealError, derive

VERSION = 1
NONCE_BYTES = 12
NO_NONCE = bytes(NONCE_BYTES)
PAYLOAD_HEAD = struct.Struct(f">2sBB{SALT_BYTES}sB")
PAYLOAD_MAGIC = b"NB"
ANSWER_HEAD = struct.Struct(f">2sBB{SALT_BYTES}s{NONCE_BYTES}s")
ANSWER_MAGIC = b"NA"
MODES = {1: PackMode.AEAD, 2: PackMode.HMAC}
NUMBERS = {mode: number for number, mode in MODES.items()}
UNSEALED = 0
ADDRESS_BYTES_MAX = 255


@dataclass(frozen=True, slots=True)
class BusTopics:
    """The topics of one installation."""

    cluster: str

    @property
    def stream(self) -> str:
        """The name of the stream that keeps all payloads."""
        return f"nunchi-{self.cluster}-rounds"

    def rounds(self, agent_id: str = "*") -> str:
        """Payloads of an agent, or of all."""
        return f"nunchi.{self.cluster}.rounds.{agent_id}"

    def answers(self, agent_id: str) -> str:
        """What the servers say to an agent."""
        return f"nunchi.{self.cluster}.answers.{agent_id}"


def agent_of(topic: str) -> str:
    """Whose topic it is."""
    return topic.rpartition(".")[2]


class BusAnswer(msgspec.Struct, frozen=True):
    """What became of a payload, as HTTP would say it: see `POST /api/v1/push`."""

    status: int
    body: str = ""
    retry_after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SealedPayload:
    """A message on its way, its seal not yet tried. `address` is where the agent says that it is."""

    salt: bytes
    mode: PackMode
    address: str
    head: bytes
    sealed: bytes

    def open(self, agent_id: str, keys: Iterable[bytes]) -> tuple[bytes, bytes]:
        """The payload, and the first of the keys that opens it. Raises SealError."""
        for key in keys:
            try:
                sealer = _sealer(key, self.salt, b"bus payload", self.mode)
                return sealer.open(NO_NONCE, self.sealed, self.head + agent_id.encode()), key
            except SealError:
                continue
        raise SealError(f"bus: no key of agent {agent_id} opens it")


def seal_payload(payload: bytes, agent_id: str, address: str, key: bytes, salt: bytes, mode: PackMode) -> bytes:
    """A message; `salt` is random and used once. Raises SealError where this installation cannot seal so."""
    told = address.encode()[:ADDRESS_BYTES_MAX]
    head = PAYLOAD_HEAD.pack(PAYLOAD_MAGIC, VERSION, NUMBERS[mode], salt, len(told)) + told
    return head + _sealer(key, salt, b"bus payload", mode).seal(NO_NONCE, payload, head + agent_id.encode())


def split_payload(message: bytes) -> SealedPayload:
    """What can be told of a message before its seal is tried. Raises WireError."""
    if len(message) < PAYLOAD_HEAD.size:
        raise WireError("bus: a message that is shorter than its head")
    magic, version, mode, salt, length = PAYLOAD_HEAD.unpack_from(message)
    if magic != PAYLOAD_MAGIC:
        raise WireError("bus: not a payload of an agent")
    if version != VERSION or mode not in MODES:
        raise UnknownVersion(f"bus: version {version} with mode {mode} is not known")
    end = PAYLOAD_HEAD.size + length
    address = message[PAYLOAD_HEAD.size : end].decode(errors="replace")
    return SealedPayload(salt, MODES[mode], address, message[:end], message[end:])


def seal_answer(
    answer: BusAnswer, agent_id: str, salt: bytes, nonce: bytes, key: bytes | None, mode: PackMode
) -> bytes:
    """What is said to the message of this salt; `nonce` is random. Without a key it is not sealed."""
    body = msgspec.json.encode(answer)
    head = ANSWER_HEAD.pack(ANSWER_MAGIC, VERSION, UNSEALED if key is None else NUMBERS[mode], salt, nonce)
    if key is None:
        return head + body
    return head + _sealer(key, salt, b"bus answer", mode).seal(nonce, body, head + agent_id.encode())


def open_answer(message: bytes, agent_id: str, salt: bytes, key: bytes) -> tuple[BusAnswer, bool] | None:
    """An answer to the message of this salt, and whether it is sealed; None: it answers another. Raises WireError."""
    if len(message) < ANSWER_HEAD.size:
        raise WireError("bus: an answer that is shorter than its head")
    magic, version, mode, own, nonce = ANSWER_HEAD.unpack_from(message)
    if magic != ANSWER_MAGIC or version != VERSION or mode not in (*MODES, UNSEALED):
        raise UnknownVersion("bus: not an answer of this version")
    if own != salt:
        return None
    head, body = message[: ANSWER_HEAD.size], message[ANSWER_HEAD.size :]
    if mode != UNSEALED:
        body = _sealer(key, salt, b"bus answer", MODES[mode]).open(nonce, body, head + agent_id.encode())
    try:
        return msgspec.json.decode(body, type=BusAnswer), mode != UNSEALED
    except msgspec.MsgspecError as error:
        raise WireError(f"bus: an answer that cannot be read: {error}") from error


def _sealer(key: bytes, salt: bytes, purpose: bytes, mode: PackMode) -> Sealer:
    try:
        return SEALERS[mode](derive(key, salt, purpose + b" " + mode.value.encode()))
    except ImportError as error:
        raise SealError("bus: mode aead needs the cryptography package: pip install nunchi[pack]") from error
