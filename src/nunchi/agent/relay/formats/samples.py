"""nunchi's own JSON: `{"samples": [{"name", "value", "labels", "timestamp_ms", "type"}]}`, docs/formats/relay.md.

Invariant: names and labels are taken as they are or refused; nothing is renamed.
"""

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from nunchi.agent.relay.format import Format, Reading, RelayedSample, RelayError
from nunchi.model.metadata import MetricType

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
SPECIAL_VALUES = {"NaN": float("nan"), "+Inf": float("inf"), "-Inf": float("-inf")}


class JsonSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sample; without a time it is of now. JSON has no words for NaN and infinities: they are texts."""

    name: str
    value: float | Literal["NaN", "+Inf", "-Inf"]
    labels: dict[str, str] = {}
    timestamp_ms: int | None = None
    type: Literal["counter", "gauge", "unknown"] = "unknown"


class JsonBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request."""

    samples: list[JsonSample]


def read(body: bytes, now_ms: int, _parameters: Mapping[str, str]) -> Reading:
    """See `Format`."""
    try:
        told = msgspec.json.decode(body, type=JsonBody)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RelayError(str(error)) from None
    reading = Reading()
    for number, one in enumerate(told.samples):
        if not METRIC.fullmatch(one.name):
            raise RelayError(f"samples[{number}].name: {one.name[:80]!r} is not a valid metric name")
        for label in one.labels:
            if not LABEL.fullmatch(label):
                raise RelayError(f"samples[{number}].labels: {label[:80]!r} is not a valid label name")
        value = SPECIAL_VALUES[one.value] if isinstance(one.value, str) else one.value
        at_ms = now_ms if one.timestamp_ms is None else one.timestamp_ms
        reading.samples.append(RelayedSample(one.name, one.labels, value, at_ms, MetricType(one.type)))
    return reading


FORMAT = Format("samples", ("application/json",), read)
