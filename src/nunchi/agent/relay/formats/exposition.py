"""Prometheus's text: what a job at night writes with `curl --data-binary @file`. The time is that of the request.

Invariant: timestamps in the text are passed over, as everywhere in the agent.
"""

from collections.abc import Mapping

from nunchi.agent.exposition import family_of, read_exposition
from nunchi.agent.relay.format import Format, Reading, RelayedSample, RelayError
from nunchi.model.metadata import MetricType

SAMPLES_MAX = 100_000
PLAIN_TYPES = frozenset({MetricType.COUNTER, MetricType.GAUGE})


def read(body: bytes, now_ms: int, _parameters: Mapping[str, str]) -> Reading:
    """See `Format`."""
    types: dict[str, MetricType] = {}
    try:
        found = list(read_exposition(body.decode(), types, SAMPLES_MAX))
    except UnicodeDecodeError as error:
        raise RelayError(f"byte {error.start}: not UTF-8") from None
    except ValueError as error:
        raise RelayError(str(error)) from None
    reading = Reading()
    for one in found:
        kind = types.get(family_of(one.name, types), MetricType.UNKNOWN)
        shown = kind if kind in PLAIN_TYPES else MetricType.UNKNOWN
        reading.samples.append(RelayedSample(one.name, one.labels, one.value, now_ms, shown))
    return reading


FORMAT = Format("text", ("text/plain", "application/openmetrics-text"), read)
