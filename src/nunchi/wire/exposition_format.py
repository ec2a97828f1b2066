"""The forms of expositions, two of text and one of bytes, and how HTTP headers name them. Standard library only: agents use it.

Invariant: every version of a grammar is read and written the same way; a header's version parameter decides nothing.
"""

from enum import Enum

from nunchi.wire.errors import WireError


class ExpositionFormat(Enum):
    """Prometheus text (0.0.4, 1.0.0), OpenMetrics text (0.0.1, 1.0.0), or Prometheus's protobuf, which is only read.

    The value is the media type.
    """

    TEXT = "text/plain"
    OPEN_METRICS = "application/openmetrics-text"
    PROTOBUF = "application/vnd.google.protobuf"

    @property
    def content_type(self) -> str:
        """The `Content-Type` of what we write."""
        if self is ExpositionFormat.TEXT:
            return "text/plain; version=0.0.4; charset=utf-8"
        return "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @classmethod
    def of_content_type(cls, header: str | None, fallback: "ExpositionFormat | None" = None) -> "ExpositionFormat":
        """The format a `Content-Type` names, else `fallback`; raises `WireError` where there is neither."""
        media_type, _, parameters = (header or "").partition(";")
        media_type = media_type.strip().lower()
        for known in cls:
            if known.value == media_type and (known is not cls.PROTOBUF or _is_delimited(parameters)):
                return known
        if fallback is not None:
            return fallback
        said = f"an unsupported Content-Type {header!r}" if media_type else "no Content-Type"
        raise WireError(f"the target sends {said}; set fallback_scrape_protocol to read it all the same")

    @classmethod
    def of_protocol(cls, name: str) -> "ExpositionFormat":
        """The format that a name of `scrape_protocols` means; raises `ValueError`."""
        if name in {"PrometheusText0.0.4", "PrometheusText1.0.0"}:
            return cls.TEXT
        if name in {"OpenMetricsText0.0.1", "OpenMetricsText1.0.0"}:
            return cls.OPEN_METRICS
        if name == "PrometheusProto":
            return cls.PROTOBUF
        raise ValueError(f"scrape protocol {name!r} is not supported")

    @classmethod
    def of_accept(cls, header: str | None) -> "ExpositionFormat":
        """What to answer to an `Accept` header: OpenMetrics where it is liked at least as well as text."""
        weights = {cls.TEXT.value: 0.0, cls.OPEN_METRICS.value: 0.0}
        for wish in (header or "").split(","):
            media_type, *parameters = (part.strip().lower() for part in wish.split(";"))
            if media_type in weights:
                weights[media_type] = max(weights[media_type], _weight(parameters))
        is_liked = 0 < weights[cls.OPEN_METRICS.value] >= weights[cls.TEXT.value]
        return cls.OPEN_METRICS if is_liked else cls.TEXT


def _is_delimited(parameters: str) -> bool:
    """Whether the parameters of a protobuf media type name the one message and encoding that we read."""
    given = {part.strip() for part in parameters.split(";")}
    return {"proto=io.prometheus.client.MetricFamily", "encoding=delimited"} <= given


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
