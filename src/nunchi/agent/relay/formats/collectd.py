"""collectd's JSON, as its plugin `write_http` sends it with `Format "JSON"`: a list of value lists.

<https://github.com/collectd/collectd/wiki/JSON>. Names and labels are those of collectd_exporter: `collectd_PLUGIN_TYPE`, the
data source's name behind it unless it is `value`, `_total` for what only grows; instances become labels; the host is `host`.
Invariant: a value list has as many values as names and types, or the body is refused.
"""

from collections.abc import Mapping

import msgspec

from nunchi.agent.relay.format import Format, Reading, RelayedSample, RelayError
from nunchi.agent.relay.names import label_name, metric_name
from nunchi.model.metadata import MetricType

COUNTERS = frozenset({"counter", "derive"})


class ValueList(msgspec.Struct, frozen=True):
    """What one plugin measured at one moment; times in seconds."""

    values: list[float | None]
    dstypes: list[str]
    dsnames: list[str]
    time: float
    host: str
    plugin: str
    type: str
    plugin_instance: str = ""
    type_instance: str = ""


def read(body: bytes, _now_ms: int, _parameters: Mapping[str, str]) -> Reading:
    """See `Format`."""
    try:
        lists = msgspec.json.decode(body, type=list[ValueList])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RelayError(str(error)) from None
    reading = Reading()
    for number, one in enumerate(lists):
        if not len(one.values) == len(one.dstypes) == len(one.dsnames):
            raise RelayError(f"[{number}]: values, dstypes and dsnames differ in length")
        labels = _labels(one)
        for value, kind, source in zip(one.values, one.dstypes, one.dsnames, strict=True):
            if value is None:
                reading.leave_out("no_value")
                continue
            is_counter = kind in COUNTERS
            words = ["collectd", *([] if one.plugin == one.type else [one.plugin]), one.type]
            words += [] if source == "value" else [source]
            words += ["total"] if is_counter else []
            type_ = MetricType.COUNTER if is_counter else MetricType.GAUGE
            reading.samples.append(
                RelayedSample(metric_name("_".join(words)), labels, value, round(one.time * 1000), type_)
            )
    return reading


def _labels(one: ValueList) -> dict[str, str]:
    labels = {"host": one.host}
    if one.plugin_instance:
        labels[label_name(one.plugin)] = one.plugin_instance
        if one.type_instance:
            labels["type"] = one.type_instance
    elif one.type_instance:
        labels[label_name(one.plugin)] = one.type_instance
    return labels


FORMAT = Format("collectd", ("application/json",), read)
