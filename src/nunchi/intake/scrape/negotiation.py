"""Which expositions are asked for, and the request's header that asks: in order of preference, as Prometheus writes it.

Invariant: what is asked for can be read.
"""

from collections.abc import Sequence

PROTOCOL_MEDIA_TYPES = {
    "PrometheusProto": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    "PrometheusText0.0.4": "text/plain;version=0.0.4",
    "PrometheusText1.0.0": "text/plain;version=1.0.0",
    "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
    "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0",
}
ESCAPED_PROTOCOLS = ("PrometheusText1.0.0", "OpenMetricsText1.0.0")
DEFAULT_PROTOCOLS = ("OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4")
NATIVE_PROTOCOLS = ("PrometheusProto", *DEFAULT_PROTOCOLS)  # where native histograms are wanted: only protobuf has them


def accept_header(protocols: Sequence[str], escaping: str = "allow-utf-8") -> str:
    """The `Accept` header for these protocols; the last resort is anything at all."""
    quality = len(PROTOCOL_MEDIA_TYPES) + 1
    parts = []
    for name in protocols:
        media_type = PROTOCOL_MEDIA_TYPES[name]
        if name in ESCAPED_PROTOCOLS:
            media_type += f";escaping={escaping}"
        parts.append(f"{media_type};q=0.{quality}")
        quality -= 1
    parts.append(f"*/*;q=0.{quality}")
    return ",".join(parts)
