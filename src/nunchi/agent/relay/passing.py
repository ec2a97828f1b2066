"""Other agents' requests, passed on to the server with the keys they came with, and the server's word passed back.

Nothing of them is kept here: an agent's rounds stay in its own spool until the server itself has acknowledged them.
Invariant: this agent's own credentials are never lent; who brings no key is not passed on.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from aiohttp import web

from nunchi.agent.relay.telemetry import RelayTelemetry
from nunchi.agent.settings import ServerSettings
from nunchi.kit.clock import Clock
from nunchi.kit.http_client import HttpClient, HttpClientSettings, Response
from nunchi.kit.http_errors import HttpClientError
from nunchi.kit.http_route import Access, Route
from nunchi.wire.cloud_exchange import CONFIGURATION_PATH, REPORT_PATH, RESOURCES_PATH
from nunchi.wire.happenings import PATH as HAPPENINGS_PATH

AGENTS_ROOT = "/api/nunchi/v1/agents"
WITH_KEY = (
    ("POST", "/api/v1/push"),
    ("POST", f"{AGENTS_ROOT}/info"),
    ("POST", f"{AGENTS_ROOT}/key"),
    ("GET", f"{AGENTS_ROOT}/health"),
    ("POST", HAPPENINGS_PATH),
    ("GET", CONFIGURATION_PATH),
    ("POST", REPORT_PATH),
    ("POST", RESOURCES_PATH),
)
WAIT = "wait"  # of a question: nobody waits here for the server, connections are few
JOIN_PATH = f"{AGENTS_ROOT}/join"
ANSWER_BYTES_MAX = 1 << 20
CONNECTIONS_MAX = 8
AGENTS_MAX = 1000
PASSED_ON = ("Authorization", "Content-Type", "Content-Encoding")
PASSED_BACK = ("Content-Type", "Retry-After", "WWW-Authenticate")
TRANSPORT = (
    "tls_config",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
    "follow_redirects",
)


class Passing:
    """Routes for agents that have no way to the server but this one."""

    def __init__(
        self,
        server: Callable[[], ServerSettings],
        clock: Clock,
        folder: Path,
        environment: Mapping[str, str],
        telemetry: RelayTelemetry,
        body_bytes_max: int,
    ) -> None:
        """`server` is asked at each request: it may change."""
        self._server = server
        self._clock = clock
        self._folder = folder
        self._environment = environment
        self._telemetry = telemetry
        self._body_bytes_max = body_bytes_max
        self._agents: set[str] = set()
        self._client: tuple[ServerSettings, HttpClient] | None = None

    def routes(self) -> list[Route]:
        """What agents ask a server for."""
        bound = self._body_bytes_max
        return [
            *(Route(method, path, self.pass_with_key, Access.JOIN, bound) for method, path in WITH_KEY),
            Route("POST", JOIN_PATH, self.pass_on, Access.JOIN, bound),
        ]

    async def close(self) -> None:
        """Close the connections to the server."""
        known, self._client = self._client, None
        if known is not None:
            await known[1].close()

    async def pass_with_key(self, request: web.Request) -> web.Response:
        """A request that the server judges by its key; without one it would seem to come from this host."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            text = "an agent delivers through another with a key of its own: let it join the server\n"
            return web.Response(status=401, text=text, headers={"WWW-Authenticate": "Bearer"})
        answer = await self.pass_on(request)
        is_known = 200 <= answer.status < 300
        self._telemetry.passed.add(1, self._shown(key.partition(".")[0]) if is_known else "", str(answer.status))
        return answer

    async def pass_on(self, request: web.Request) -> web.Response:
        """Ask the server the same, and answer the same."""
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        server = self._server()
        client = await self._client_of(server)
        try:
            answer = await client.request(
                request.method,
                server.url.rstrip("/") + str(request.rel_url.without_query_params(WAIT)),
                headers=headers,
                body=await request.read() or None,
                timeout_seconds=server.timeout.seconds,
                body_bytes_max=ANSWER_BYTES_MAX,
            )
        except HttpClientError as error:
            return web.Response(status=502, text=f"the server is not reached from here: {error}\n")
        return _answer_of(answer)

    async def _client_of(self, server: ServerSettings) -> HttpClient:
        """The connections to this server, without credentials; those to an earlier one are closed."""
        if self._client is None or self._client[0] != server:
            await self.close()
            transport = HttpClientSettings(**{name: getattr(server, name) for name in TRANSPORT})
            client = HttpClient(
                self._clock,
                transport,
                folder=self._folder,
                environment=self._environment,
                connections_max=CONNECTIONS_MAX,
            )
            self._client = (server, client)
        return self._client[1]

    def _shown(self, agent_id: str) -> str:
        """An agent's id as a label, a bounded number of them."""
        if len(self._agents) < AGENTS_MAX:
            self._agents.add(agent_id)
        return agent_id if agent_id in self._agents else "other"


def _answer_of(answer: Response) -> web.Response:
    headers = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=headers)
