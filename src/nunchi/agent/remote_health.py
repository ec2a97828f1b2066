"""RemoteHealthCheck: asks the server from time to time whether it is well, and shows result, latency and outage as metrics.

It speaks for the network and the server's life, not for delivery: a server may be well and refuse this agent's rounds.
"""

from nunchi.agent.server_link import ServerLink
from nunchi.kit.clock import Clock
from nunchi.kit.http_client import HttpClientError
from nunchi.kit.telemetry import Telemetry

PATH = "/api/nunchi/v1/agents/health"  # opened by an agent's key, as /-/healthy is not
INTERVAL_SECONDS = 30.0
ANSWER_BYTES_MAX = 64 << 10


class RemoteHealth:
    """A part. `outage_seconds` is 0 while the server answers."""

    name = "agent.remote_health"

    def __init__(self, link: ServerLink, clock: Clock, telemetry: Telemetry) -> None:
        self.last_error = ""
        self._link = link
        self._clock = clock
        self._failing_since: float | None = None
        self._is_healthy = telemetry.gauge("agent_server_healthy", "1 if the server said so when it was last asked.")
        self._latency = telemetry.gauge("agent_server_probe_duration_seconds", "How long the last answer took.")
        self._probes = telemetry.counter("agent_server_probes_total", "Times the server was asked.", "result")
        telemetry.gauge(
            "agent_server_outage_seconds", "How long the server has not been healthy; 0 while it is."
        ).observe_with(self.outage_seconds)

    def outage_seconds(self) -> float:
        """Since the first of the probes that failed in a row."""
        return 0.0 if self._failing_since is None else self._clock.monotonic() - self._failing_since

    async def start(self) -> None:
        """Nothing to take."""

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.probe()
            await self._clock.sleep(INTERVAL_SECONDS)

    async def stop(self) -> None:
        """Nothing to give back."""

    async def probe(self) -> None:
        """Ask once."""
        began = self._clock.monotonic()
        try:
            response = await self._link.request("GET", PATH, body_bytes_max=ANSWER_BYTES_MAX)
        except HttpClientError as error:
            result, self.last_error = "no_answer", str(error)
        else:
            is_healthy = 200 <= response.status < 300
            result = "healthy" if is_healthy else "unhealthy"
            self.last_error = "" if is_healthy else f"{response.url} answers {response.status}"
        self._probes.add(1, result)
        self._latency.set(self._clock.monotonic() - began)
        self._is_healthy.set(1 if result == "healthy" else 0)
        if result == "healthy":
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = began
