"""What HTTP servers count of themselves: requests by route and code, and how long they took.

Invariant: the route is the pattern, never the path, so that clients cannot make new series.
"""

from nunchi.kit.telemetry import Counter, Histogram, Telemetry

NO_ROUTE = "none"
_REQUESTS = "nunchi_http_requests_total"
_DURATION = "nunchi_http_request_duration_seconds"


class HttpTelemetry:
    """The instruments of one server; several servers of a process share them and differ by the label `server`."""

    def __init__(self, telemetry: Telemetry, server: str) -> None:
        self._server = server
        requests = telemetry.find(_REQUESTS)
        duration = telemetry.find(_DURATION)
        if requests is None or duration is None:
            requests = telemetry.counter(_REQUESTS, "HTTP requests answered.", "server", "route", "code")
            duration = telemetry.histogram(_DURATION, "Time to answer HTTP requests.", "server", "route")
        assert isinstance(requests, Counter)
        assert isinstance(duration, Histogram)
        self._requests, self._duration = requests, duration

    def count(self, route: str, code: int, duration_seconds: float) -> None:
        """Count one request that has been answered, or given up."""
        self._requests.add(1, self._server, route, str(code))
        self._duration.observe(duration_seconds, self._server, route)
