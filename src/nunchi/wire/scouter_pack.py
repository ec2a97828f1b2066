"""Scouter packs: datagrams `CAFE` (one pack), `CAFN` (several), `CAFM` (a part of one), and the packs that monitoring is about.

There is no authentication in them, so a receiver takes them from listed sources alone (docs/formats/scouter_pack.md).
Invariant: no bytes but those of a `WireError`'s message do harm; parts wait bounded by number, bytes and time.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from nunchi.wire.errors import WireError
from nunchi.wire.scouter_values import (
    Float32,
    ScouterReader,
    Value,
    put_decimal,
    put_map,
    put_text,
    put_value,
)

ONE, SEVERAL, PART = b"CAFE", b"CAFN", b"CAFM"
JAVA = {b"JAVA": ONE, b"JAVN": SEVERAL, b"JAVM": PART, b"JMTU": PART}
DATAGRAM_BYTES = 1232
DATAGRAM_BYTES_MAX = 65_507
PART_HEAD_BYTES = 4 + 4 + 8 + 2 + 2
PARTS_SECONDS_MAX = 10.0
PARTIAL_MAX = 1000
PARTIAL_BYTES_MAX = 32 << 20
PARTS_OF_ONE_MAX = 4096


class ScouterType(IntEnum):
    """The first byte of a pack."""

    MAP = 10
    CLOUD_WATCH = 11
    CLOUD_OBJECT = 13
    CLOUD_ITEMS = 14
    LAMBDA = 17
    CLOUD_RESOURCE = 18
    CLOUD_METRIC_DATA = 19
    TEXT = 50
    METRIC = 59
    PERF_COUNTER = 60
    ALERT = 70
    ALERT_2 = 71
    OBJECT = 80


Fields = dict[str, Value]


@dataclass(frozen=True, slots=True)
class ScouterPack:
    """One pack: its type, and its fields by the names of the table below."""

    type: ScouterType
    fields: Fields = field(default_factory=dict)


def _fixed(size: int) -> tuple[Callable[[ScouterReader], Value], Callable[[Value], bytes]]:
    return lambda reader: reader.integer(size), lambda value: _integer(value).to_bytes(size, "big", signed=True)


def _integer(value: Value) -> int:
    if not isinstance(value, int):
        raise WireError(f"scouter pack: {value!r} is no whole number")
    return value


def _write_map(value: Value) -> bytes:
    if not isinstance(value, dict):
        raise WireError(f"scouter pack: {value!r} is no map")
    return put_map(value)


KINDS: dict[str, tuple[Callable[[ScouterReader], Value], Callable[[Value], bytes]]] = {
    "int8": _fixed(1),
    "int16": _fixed(2),
    "int32": _fixed(4),
    "int64": _fixed(8),
    "dec": (lambda reader: reader.decimal(), lambda value: put_decimal(_integer(value))),
    "text": (lambda reader: reader.text(), lambda value: put_text(str(value))),
    "bool": (lambda reader: reader.boolean(), lambda value: bytes([bool(value)])),
    "map": (lambda reader: reader.map(), _write_map),
    "float32": (
        lambda reader: Float32(reader.float32()),
        lambda value: put_value(value if isinstance(value, Float32) else Float32(float(_number(value))))[1:],
    ),
}  # fmt: skip


def _number(value: Value) -> float:
    if not isinstance(value, int | float):
        raise WireError(f"scouter pack: {value!r} is no number")
    return float(value)


def _layout(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, kind) for name, _, kind in (word.partition(":") for word in text.split()))


# Fields in the order in which they are written.
LAYOUTS: dict[ScouterType, tuple[tuple[str, str], ...]] = {
    ScouterType.MAP: (),
    ScouterType.CLOUD_WATCH: _layout("csp:text account:text namespace:text metric:text dimensions:map data:map"),
    ScouterType.CLOUD_OBJECT: _layout("objHash:dec name:text ip:text port:dec alive:bool wakeup:dec tags:map"),
    ScouterType.CLOUD_ITEMS: _layout("csp:text account:text updateTime:int64 items:text"),
    ScouterType.LAMBDA: _layout(
        "account:text serviceHash:int32 total:dec totalTime:float32 ok:dec err:dec fault:dec throttle:dec start:int64 end:int64"
    ),
    ScouterType.CLOUD_RESOURCE: _layout(
        "resourceId:dec fullName:text providerId:dec metricMetaId:dec time:dec systemTags:map customTags:map"
    ),
    ScouterType.CLOUD_METRIC_DATA: _layout(
        "metricMetaId:dec resourceId:dec collectInterval:dec time:dec dataPoints:map"
    ),
    ScouterType.TEXT: _layout("xtype:text hash:int32 text:text"),
    ScouterType.METRIC: _layout("time:int64 objHash:int32 objName:text timetype:int8 data:map"),
    ScouterType.PERF_COUNTER: _layout("time:int64 objName:text timetype:int8 data:map"),
    ScouterType.ALERT: _layout("time:int64 level:int8 objType:text objHash:int32 title:text message:text tags:map"),
    ScouterType.ALERT_2: _layout(
        "time:int64 alertType:int16 level:int8 objType:text objHash:int32 title:text message:text tags:map"
    ),
    ScouterType.OBJECT: _layout(
        "objType:text objHash:dec objName:text address:text version:text alive:bool wakeup:dec tags:map"
    ),
}


def encode_pack(pack: ScouterPack) -> bytes:
    """Type and body. Raises WireError where a field is missing or does not fit."""
    head = bytes([pack.type])
    if pack.type is ScouterType.MAP:
        return head + put_map(pack.fields)[1:]
    parts = [head]
    for name, kind in LAYOUTS[pack.type]:
        if name not in pack.fields:
            raise WireError(f"scouter pack: {pack.type.name} needs {name}")
        try:
            parts.append(KINDS[kind][1](pack.fields[name]))
        except OverflowError as error:
            raise WireError(f"scouter pack: {name} does not fit in {kind}") from error
    return b"".join(parts)


def decode_pack(reader: ScouterReader) -> ScouterPack:
    """The next pack. Raises WireError; what follows a pack of an unknown type cannot be read either."""
    number = reader.take(1)[0]
    try:
        kind = ScouterType(number)
    except ValueError:
        raise WireError(f"scouter pack: type {number} is not known") from None
    if kind is ScouterType.MAP:
        return ScouterPack(kind, {reader.text(): reader.value() for _ in range(reader.count())})
    return ScouterPack(kind, {name: KINDS[form][0](reader) for name, form in LAYOUTS[kind]})


def encode_datagrams(
    packs: Sequence[ScouterPack], bytes_max: int = DATAGRAM_BYTES, first_id: int = 1
) -> Iterator[bytes]:
    """Packs as datagrams of at most so many bytes; one that fits in none goes in parts, numbered from `first_id`."""
    if not PART_HEAD_BYTES + 8 <= bytes_max <= DATAGRAM_BYTES_MAX:
        raise ValueError(f"a datagram has up to {DATAGRAM_BYTES_MAX} bytes")
    waiting: list[bytes] = []
    for body in map(encode_pack, packs):
        if len(ONE) + len(body) > bytes_max:
            yield from _parts(body, bytes_max, first_id)
            first_id += 1
            continue
        if waiting and 6 + sum(map(len, waiting)) + len(body) > bytes_max:
            yield _together(waiting)
            waiting = []
        waiting.append(body)
    if waiting:
        yield _together(waiting)


def _together(bodies: Sequence[bytes]) -> bytes:
    if len(bodies) == 1:
        return ONE + bodies[0]
    return SEVERAL + len(bodies).to_bytes(2, "big") + b"".join(bodies)


def _parts(body: bytes, bytes_max: int, number: int) -> Iterator[bytes]:
    """A part's blob has a length of one, three or five bytes before it."""
    size = bytes_max - PART_HEAD_BYTES - 5
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    if len(pieces) > PARTS_OF_ONE_MAX:
        raise WireError(f"scouter pack: {len(body)} bytes are too many for one pack")
    for index, piece in enumerate(pieces):
        head = bytes(4) + number.to_bytes(8, "big", signed=True)
        head += len(pieces).to_bytes(2, "big") + index.to_bytes(2, "big")
        yield PART + head + _blob(piece)


def _blob(piece: bytes) -> bytes:
    return put_value(piece)[1:]


@dataclass(slots=True)
class _Partial:
    """Parts of one pack by their place."""

    total: int
    began_at: float
    pieces: dict[int, bytes] = field(default_factory=dict)
    bytes: int = 0


class ScouterAssembler:
    """Datagrams in, packs out; parts wait for each other up to ten seconds. `dropped` counts packs given up, by reason."""

    def __init__(self) -> None:
        self._partial: OrderedDict[tuple[str, int], _Partial] = OrderedDict()
        self._bytes = 0
        self.dropped: dict[str, int] = {}

    def read(self, datagram: bytes, source: str, now: float) -> list[ScouterPack]:
        """The packs that this datagram completes. Raises WireError; packs before the damaged one are lost with it."""
        self._expire(now)
        magic = JAVA.get(datagram[:4], datagram[:4])
        reader = ScouterReader(datagram[4:])
        if magic == ONE:
            return [decode_pack(reader)]
        if magic == SEVERAL:
            count = reader.integer(2)
            if count < 0:
                raise WireError("scouter pack: fewer than no packs")
            return [decode_pack(reader) for _ in range(count)]
        if magic == PART:
            body = self._put_part(reader, source, now)
            return [] if body is None else [decode_pack(ScouterReader(body))]
        raise WireError("scouter pack: the bytes are none")

    def _put_part(self, reader: ScouterReader, source: str, now: float) -> bytes | None:
        reader.integer(4)  # the object's hash, which senders leave 0
        number, total, index = reader.integer(8), reader.integer(2), reader.integer(2)
        piece = reader.blob()
        if not 0 <= index < total <= PARTS_OF_ONE_MAX:
            raise WireError("scouter pack: a part without a place")
        key = source, number
        partial = self._partial.get(key)
        if partial is None:
            partial = self._partial[key] = _Partial(total, now)
        if partial.total != total or index in partial.pieces:
            return None
        partial.pieces[index] = piece
        partial.bytes += len(piece)
        self._bytes += len(piece)
        if len(partial.pieces) == total:
            self._remove(key)
            return b"".join(partial.pieces[place] for place in range(total))
        while len(self._partial) > PARTIAL_MAX or self._bytes > PARTIAL_BYTES_MAX:
            self._drop(next(iter(self._partial)), "too_many_parts")
        return None

    def _expire(self, now: float) -> None:
        while self._partial:
            key, oldest = next(iter(self._partial.items()))
            if now - oldest.began_at <= PARTS_SECONDS_MAX:
                return
            self._drop(key, "parts_missing")

    def _drop(self, key: tuple[str, int], reason: str) -> None:
        self._remove(key)
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def _remove(self, key: tuple[str, int]) -> None:
        self._bytes -= self._partial.pop(key).bytes
