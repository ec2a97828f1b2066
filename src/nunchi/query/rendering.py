"""A result as the `result` of Prometheus's API: bytes of JSON, made by kernels; no label set becomes an object."""

from collections.abc import Sequence
from json.encoder import encode_basestring

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.cores import Cores
from nunchi.model.symbols import LabelTable
from nunchi.query.histograms.rendering import series_json
from nunchi.query.kernels import render
from nunchi.query.operators import tables
from nunchi.query.values import Matrix, Samples, Scalar, String, Value, Vector

format_number = render.format_number


def result_type(value: Value) -> str:
    """What the API calls the kind of a value."""
    match value:
        case Scalar():
            return "scalar"
        case String():
            return "string"
        case Vector():
            return "vector"
        case _:
            return "matrix"


def render_value(value: Value, cores: Cores | None = None) -> bytes:
    """The JSON of a value, UTF-8; a large one is written on borrowed `cores` too."""
    match value:
        case Scalar():
            # Prometheus prints a scalar without an exponent, whatever its size.
            return f'[{format_time(value.timestamp_ms)},"{format_number(value.value, plain=True)}"]'.encode()
        case String():
            return f"[{format_time(value.timestamp_ms)},{_quote(value.value)}]".encode()
        case Vector() | Matrix() | Samples() if value.histograms is not None:
            return _render_mixed(value)
        case Vector():
            names, values, arena, texts = _arena(value.labels)
            return render.vector_json(
                names,
                values,
                value.labels.offsets,
                arena,
                texts,
                np.ascontiguousarray(value.values),
                value.timestamp_ms,
            )
        case Matrix():
            names, values, arena, texts = _arena(value.labels)
            with (cores or Cores(0)).borrowed() as threads:
                return render.matrix_json(
                    names, values, value.labels.offsets, arena, texts, value.times,
                    np.ascontiguousarray(value.values), np.ascontiguousarray(value.present).view(np.uint8), threads,
                )  # fmt: skip
        case Samples():
            names, values, arena, texts = _arena(value.labels)
            return render.samples_json(
                names, values, value.labels.offsets, arena, texts, value.offsets, value.times, value.values
            )


def render_labels(table: LabelTable) -> bytes:
    """The JSON of label sets alone, in their order."""
    names, values, arena, texts = _arena(table)
    return render.labels_json(names, values, table.offsets, arena, texts)


def _render_mixed(value: Vector | Matrix | Samples) -> bytes:
    """A result with native histograms: Python work per point, as each is a distribution."""
    rows = []
    for row in range(len(value)):
        metric = f"{{{','.join(f'{_quote(name)}:{_quote(text)}' for name, text in value.labels.labels(row).pairs)}}}"
        points = [(format_time(time), found) for time, found in value.points(row)]
        rows.append(series_json(metric, points, is_vector=isinstance(value, Vector)))
    return f"[{','.join(rows)}]".encode()


def format_time(timestamp_ms: int) -> str:
    """Seconds, with three decimals where there are milliseconds."""
    sign, size = "-" if timestamp_ms < 0 else "", abs(timestamp_ms)
    return f"{sign}{size // 1000}" + (f".{size % 1000:03}" if size % 1000 else "")


def _quote(text: str) -> str:
    return encode_basestring(text)


def _arena(table: LabelTable) -> tuple[NDArray[np.int32], NDArray[np.int32], bytes, NDArray[np.int64]]:
    """Names and values as numbers from 0, and the JSON strings they stand for: one arena and its offsets."""
    ids, places = tables.numbered(np.concatenate([table.names, table.values]))
    arena, offsets = _joined(list(map(encode_basestring, tables.texts(table.symbols, ids))))
    return places[: len(table.names)], places[len(table.names) :], arena, offsets


def _joined(words: Sequence[str]) -> tuple[bytes, NDArray[np.int64]]:
    """Words in UTF-8, one after the other, and where each begins and ends."""
    text = "".join(words)
    arena = text.encode()
    sizes = list(map(len, words)) if len(arena) == len(text) else [len(word.encode()) for word in words]
    offsets = np.zeros(len(words) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return arena, offsets
