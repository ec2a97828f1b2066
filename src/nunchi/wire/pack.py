"""Our packs: datagrams of rows (docs/formats/pack.md). Heads, bodies, and the window of sequence numbers; no sockets, no keys.

Standard library and kernels alone, so that agents can write them. Invariant: every length is checked before it is used; a body
that is not what it claims raises `WireError`.
"""

import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from nunchi.model.metadata import Metadata, MetricType
from nunchi.wire.errors import WireError
from nunchi.wire.kernels.pack import decode_cells, encode_cells, spread
from nunchi.wire.pack_bytes import Source, put_short, put_varint, shared_prefix
from nunchi.wire.pack_seal import SALT_BYTES, SEAL_BYTES, SESSION_BYTES, PackMode

__all__ = ["Source", "decode_cells", "spread"]

MAGIC = b"NP"
VERSION = 1
VERSION_HISTOGRAMS = 2  # of the packs that carry histograms, so that servers of before take all the rest
DATAGRAM_BYTES = 1232  # IPv6's least MTU without its heads: never in fragments
DATAGRAM_BYTES_MIN = 512
DATAGRAM_BYTES_MAX = 8932
CELLS_MAX = 1 << 18  # of a round
SERIES_MAX = 1 << 20  # of a dictionary
METRIC_TYPES = tuple(MetricType)  # by number; only ever continued

HEAD = struct.Struct(">2sBB8sQ")  # magic, version and mode, kind, session, sequence
FIRST_HEAD = struct.Struct(">2sBB16s")  # magic, version and mode, kind, the agent's random bytes
SIGNED_BIT = 0x80
NONCE_BYTES = 12
NO_NONCE = bytes(NONCE_BYTES)
HELLO_BODY = struct.Struct(">q")
CONFIRM_BODY = struct.Struct(">qqI")
WELCOME_BODY = struct.Struct(">16sqqq")
DATA_BODY = struct.Struct(">IIIqQIII")
DICTIONARY_BODY = struct.Struct(">IIH")
STATS_BODY = struct.Struct(">IQQQQIq")
ANSWER_BODY = struct.Struct(">IBIIIIqq")
REPLACES = 1 << 31  # of the cells of a round: what is stored for its time gives way
DICTIONARIES_MAX = 4  # of a session, those used last
COUNT = struct.Struct(">I")
HELLO_BYTES_MIN = 160  # no answer is larger than what it answers
REASON_BYTES_MAX = 60


class PackKind(IntEnum):
    """What a pack is for. Hello, welcome and confirm begin a session; the others belong to one."""

    HELLO = 1
    WELCOME = 2
    CONFIRM = 3
    DATA = 4
    DICTIONARY = 5
    STATS = 6
    ANSWER = 7
    HISTOGRAMS = 8
    PARTS = 9

    @property
    def version(self) -> int:
        """Since which version there are such packs; it is theirs."""
        return VERSION_HISTOGRAMS if self >= PackKind.HISTOGRAMS else VERSION


class Answered(IntEnum):
    """What an answer says of a round: 0 it is stored; else why it is not, as bits."""

    STORED = 0
    SERIES_UNKNOWN = 1
    BASE_UNKNOWN = 2
    INCOMPLETE = 4
    REFUSED = 8


@dataclass(frozen=True, slots=True)
class PackHead:
    """The clear beginning of a pack of a session."""

    mode: PackMode
    kind: PackKind
    session: bytes
    sequence: int

    def encode(self) -> bytes:
        """Its bytes."""
        return HEAD.pack(MAGIC, _version_byte(self.mode, self.kind), self.kind, self.session, self.sequence)


@dataclass(frozen=True, slots=True)
class FirstHead:
    """The clear beginning of a pack that has no session yet; `agent_id` is empty in a welcome."""

    mode: PackMode
    kind: PackKind
    salt: bytes
    agent_id: str

    def encode(self) -> bytes:
        """Its bytes."""
        name = self.agent_id.encode()
        head = FIRST_HEAD.pack(MAGIC, _version_byte(self.mode, self.kind), self.kind, self.salt)
        return head + bytes([len(name)]) + name


@dataclass(frozen=True, slots=True)
class Confirm:
    """Who the agent is. `started_ms` only grows from session to session of one agent."""

    epoch: int
    started_ms: int
    interval_ms: int
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """The server's random bytes, its clock (when it heard and when it answered what was sent at `sent_ms`), and the newest
    version that it reads.
    """

    cookie: bytes
    sent_ms: int
    received_ms: int
    answered_ms: int
    version: int = VERSION_HISTOGRAMS


@dataclass(frozen=True, slots=True)
class Data:
    """Cells of a round, in the round's order from `first_cell` on; sample numbers as in payloads. Of a round of histograms
    the cells are their parts.
    """

    dictionary: int
    round: int
    base_round: int
    timestamp_ms: int
    first_sequence: int
    total: int
    first_cell: int
    cells: int
    body: bytes
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Series of a dictionary from a column on, as label keys, or parts of histograms; and metadata."""

    dictionary: int
    first_column: int
    keys: tuple[bytes, ...]
    metadata: Mapping[str, Metadata] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stats:
    """What the agent has sent in this session by the end of a round, this pack among it."""

    round: int
    packs: int
    samples: int
    rounds: int
    rounds_unsent: int
    interval_ms: int
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a round, which series the server knows, and its clock beside the agent's."""

    round: int
    answered: int
    accepted: int
    duplicate: int
    dictionary: int
    series_known: int
    sent_ms: int
    received_ms: int
    rejected: Mapping[str, int] = field(default_factory=dict)


def _version_byte(mode: PackMode, kind: PackKind) -> int:
    return kind.version | (SIGNED_BIT if mode is PackMode.HMAC else 0)


def nonce_of(sequence: int) -> bytes:
    """Of a pack of a session: each direction has a key of its own."""
    return sequence.to_bytes(NONCE_BYTES, "big")


def kind_of(datagram: bytes) -> PackKind:
    """What a datagram claims to be. Raises WireError."""
    if datagram[:2] != MAGIC or len(datagram) < 4:
        raise WireError("pack: these bytes are not a pack")
    version = datagram[2] & ~SIGNED_BIT
    if not VERSION <= version <= VERSION_HISTOGRAMS:
        raise WireError(f"pack: its version is {version}, this program reads {VERSION} to {VERSION_HISTOGRAMS}")
    try:
        kind = PackKind(datagram[3])
    except ValueError:
        raise WireError(f"pack: no pack is of kind {datagram[3]}") from None
    if kind.version != version:
        raise WireError(f"pack: kind {kind} is of version {kind.version}, not {version}")
    return kind


def split(datagram: bytes) -> tuple[PackHead, bytes, bytes]:
    """A pack of a session: head, the head's bytes, what is sealed. Raises WireError."""
    kind = kind_of(datagram)
    if len(datagram) < HEAD.size + SEAL_BYTES:
        raise WireError("pack: it is cut off")
    _, version, _, session, sequence = HEAD.unpack_from(datagram)
    mode = PackMode.HMAC if version & SIGNED_BIT else PackMode.AEAD
    return PackHead(mode, kind, session, sequence), datagram[: HEAD.size], datagram[HEAD.size :]


def split_first(datagram: bytes) -> tuple[FirstHead, bytes, bytes]:
    """See `split`; of a pack that has no session yet."""
    kind = kind_of(datagram)
    if (
        len(datagram) < FIRST_HEAD.size + 1
        or len(datagram) < FIRST_HEAD.size + 1 + datagram[FIRST_HEAD.size] + SEAL_BYTES
    ):
        raise WireError("pack: it is cut off")
    _, version, _, salt = FIRST_HEAD.unpack_from(datagram)
    end = FIRST_HEAD.size + 1 + datagram[FIRST_HEAD.size]
    try:
        agent_id = datagram[FIRST_HEAD.size + 1 : end].decode("ascii")
    except UnicodeDecodeError:
        raise WireError("pack: the agent's id is no text") from None
    mode = PackMode.HMAC if version & SIGNED_BIT else PackMode.AEAD
    return FirstHead(mode, kind, salt, agent_id), datagram[:end], datagram[end:]


# Bodies.


def encode_confirm(confirm: Confirm) -> bytes:
    """See `Confirm`."""
    numbers = CONFIRM_BODY.pack(confirm.epoch, confirm.started_ms, confirm.interval_ms)
    return numbers + put_short(confirm.name) + put_short(confirm.version)


def decode_confirm(body: bytes) -> Confirm:
    """Raises WireError."""
    source = Source(body)
    epoch, started_ms, interval_ms = source.unpack(CONFIRM_BODY)
    return Confirm(epoch, started_ms, interval_ms, source.short(), source.short())


def encode_welcome(welcome: Welcome) -> bytes:
    """See `Welcome`."""
    times = welcome.sent_ms, welcome.received_ms, welcome.answered_ms
    return WELCOME_BODY.pack(welcome.cookie, *times) + bytes([welcome.version])


def decode_welcome(body: bytes) -> Welcome:
    """Raises WireError. A server of before says nothing of its version."""
    source = Source(body)
    cookie, sent_ms, received_ms, answered_ms = source.unpack(WELCOME_BODY)
    return Welcome(cookie, sent_ms, received_ms, answered_ms, source.take(1)[0] if source.left else VERSION)


def encode_data(
    dictionary: int, round_: int, base_round: int, timestamp_ms: int, first_sequence: int, columns: "array[int]",
    values: "array[float]", base: "array[float]", bytes_max: int, *, replaces: bool = False,
) -> Iterator[bytes]:  # fmt: skip
    """A round as bodies of at most so many bytes."""
    cell, total = 0, len(columns) | (REPLACES if replaces else 0)
    while cell < len(columns):
        body, end = encode_cells(columns, values, cell, base, bytes_max - DATA_BODY.size)
        yield (
            DATA_BODY.pack(dictionary, round_, base_round, timestamp_ms, first_sequence, total, cell, end - cell) + body
        )
        cell = end


def decode_data(body: bytes) -> Data:
    """Cells are decoded apart, with their base. Raises WireError."""
    source = Source(body)
    dictionary, round_, base_round, timestamp_ms, first_sequence, marked, first_cell, cells = source.unpack(DATA_BODY)
    total, replaces = marked & ~REPLACES, bool(marked & REPLACES)
    if total > CELLS_MAX or first_cell + cells > total or not cells:
        raise WireError("pack: its cells are not within its round")
    body = source.rest()
    return Data(dictionary, round_, base_round, timestamp_ms, first_sequence, total, first_cell, cells, body, replaces)


def encode_dictionary(dictionary: int, first_column: int, keys: Sequence[bytes], bytes_max: int) -> Iterator[bytes]:
    """Label keys as bodies of at most so many bytes. Raises WireError where a key fits in none."""
    at = 0
    while at < len(keys):
        parts, size, before, begin = [], DICTIONARY_BODY.size + 1, b"", at
        while at < len(keys) and at - begin < 0xFFFF:
            shared = shared_prefix(before, keys[at])
            part = put_varint(shared) + put_varint(len(keys[at]) - shared) + keys[at][shared:]
            if size + len(part) > bytes_max:
                break
            parts.append(part)
            size += len(part)
            before = keys[at]
            at += 1
        if at == begin:
            raise WireError(f"pack: the labels of a series have {len(keys[at])} bytes, more than a datagram holds")
        yield DICTIONARY_BODY.pack(dictionary, first_column + begin, at - begin) + b"".join(parts) + b"\x00"


def encode_metadata(dictionary: int, metadata: Mapping[str, Metadata], bytes_max: int) -> Iterator[bytes]:
    """Metadata as bodies of dictionary packs without series."""
    head = DICTIONARY_BODY.pack(dictionary, 0, 0)
    parts: list[bytes] = []
    for name, entry in metadata.items():
        texts = put_short(name) + put_short(entry.help) + put_short(entry.unit)
        part = bytes([METRIC_TYPES.index(entry.type)]) + texts
        if parts and (len(parts) == 255 or len(head) + 1 + sum(map(len, parts)) + len(part) > bytes_max):
            yield head + bytes([len(parts)]) + b"".join(parts)
            parts = []
        if len(head) + 1 + len(part) <= bytes_max:
            parts.append(part)
    if parts:
        yield head + bytes([len(parts)]) + b"".join(parts)


def decode_dictionary(body: bytes) -> Dictionary:
    """Raises WireError."""
    source = Source(body)
    dictionary, first_column, count = source.unpack(DICTIONARY_BODY)
    if first_column + count > SERIES_MAX:
        raise WireError(f"pack: a dictionary has at most {SERIES_MAX} series")
    keys, before = [], b""
    for _ in range(count):
        shared, length = source.varint(), source.varint()
        if shared > len(before):
            raise WireError("pack: a series shares more than there is")
        before = before[:shared] + source.take(length)
        keys.append(before)
    metadata = {}
    for _ in range(source.take(1)[0]):
        number = source.take(1)[0]
        if number >= len(METRIC_TYPES):
            raise WireError("pack: no such metric type")
        name = source.short()
        metadata[name] = Metadata(METRIC_TYPES[number], source.short(), source.short())
    return Dictionary(dictionary, first_column, tuple(keys), metadata)


def encode_stats(stats: Stats) -> bytes:
    """See `Stats`."""
    return STATS_BODY.pack(
        stats.round, stats.packs, stats.samples, stats.rounds, stats.rounds_unsent, stats.interval_ms, stats.sent_ms
    )


def decode_stats(body: bytes) -> Stats:
    """Raises WireError."""
    return Stats(*Source(body).unpack(STATS_BODY))


def encode_answer(answer: Answer, bytes_max: int) -> bytes:
    """At most so many bytes: reasons that do not fit are left out."""
    parts = [
        ANSWER_BODY.pack(
            answer.round, answer.answered, answer.accepted, answer.duplicate, answer.dictionary, answer.series_known,
            answer.sent_ms, answer.received_ms,
        )
    ]  # fmt: skip
    for reason, count in answer.rejected.items():
        part = put_short(reason[:REASON_BYTES_MAX]) + COUNT.pack(min(count, 0xFFFFFFFF))
        if sum(map(len, parts)) + len(part) > bytes_max:
            break
        parts.append(part)
    return b"".join(parts)


def decode_answer(body: bytes) -> Answer:
    """Raises WireError."""
    source = Source(body)
    number, answered, accepted, duplicate, dictionary, known, sent_ms, received_ms = source.unpack(ANSWER_BODY)
    rejected = {}
    while source.left:
        reason = source.short()
        (rejected[reason],) = source.unpack(COUNT)
    return Answer(number, answered, accepted, duplicate, dictionary, known, sent_ms, received_ms, rejected)


assert SALT_BYTES == 16
assert SESSION_BYTES == 8
