"""Telegraf's JSON, as its `http` output writes it with `data_format = "json"`: a batch, or a metric a line.

<https://docs.influxdata.com/telegraf/v1/data_formats/output/json/>. A metric's fields become series `name_field` (`name` alone
where the field is called `value`), as Telegraf's own Prometheus output calls them; tags become labels, all of them.
Invariant: the time is the metric's own, in the unit that the parameter `unit` names: `s` (the default), `ms`, `us` or `ns`.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from nunchi.agent.relay.format import Format, Reading, RelayedSample, RelayError
from nunchi.agent.relay.names import label_name, metric_name

UNITS_MS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
MISSING_BATCH = re.compile(r"missing required field `metrics`|trailing characters")


class TelegrafMetric(msgspec.Struct, frozen=True):
    """One metric."""

    name: str
    fields: dict[str, float | bool | str | None]
    tags: dict[str, str] = {}
    timestamp: float | None = None


class TelegrafBatch(msgspec.Struct, frozen=True):
    """Several."""

    metrics: list[TelegrafMetric]


def read(body: bytes, now_ms: int, parameters: Mapping[str, str]) -> Reading:
    """See `Format`."""
    unit = parameters.get("unit", "s")
    if unit not in UNITS_MS:
        raise RelayError(f"unit: {unit[:20]!r} is not one of {', '.join(UNITS_MS)}")
    reading = Reading()
    for metric in _metrics(body):
        at_ms = now_ms if metric.timestamp is None else round(metric.timestamp * UNITS_MS[unit])
        labels = {label_name(tag): value for tag, value in metric.tags.items()}
        for field, value in metric.fields.items():
            if value is None or isinstance(value, str):
                reading.leave_out("text" if isinstance(value, str) else "no_value")
                continue
            name = metric_name(metric.name if field == "value" else f"{metric.name}_{field}")
            reading.samples.append(RelayedSample(name, labels, float(value), at_ms))
    return reading


def _metrics(body: bytes) -> Sequence[TelegrafMetric]:
    try:
        return msgspec.json.decode(body, type=TelegrafBatch).metrics
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        if not MISSING_BATCH.search(str(error)):
            raise RelayError(str(error)) from None
    metrics = []
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            try:
                metrics.append(msgspec.json.decode(line, type=TelegrafMetric))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise RelayError(f"line {number}: {error}") from None
    return metrics


FORMAT = Format("telegraf", ("application/json", "text/plain"), read)
