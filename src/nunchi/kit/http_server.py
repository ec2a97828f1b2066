"""An HTTP server as a part: routes in, one policy for all of them. The policy decides in `http_policy`; here it is carried out.

Invariant: no handler runs before host, user, access, origin, content type and size of the request have been found acceptable,
and its body has been read, undecoded, within its bound.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from io import BytesIO

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.payload import BytesIOPayload

from nunchi.kit import logs
from nunchi.kit.clock import Clock
from nunchi.kit.errors import InputError
from nunchi.kit.http_compression import compress
from nunchi.kit.http_connections import HttpConnections
from nunchi.kit.http_policy import SECURITY_HEADERS, Gate, HttpPolicy, Refusal
from nunchi.kit.http_route import Access, Handler, Route
from nunchi.kit.http_telemetry import NO_ROUTE, HttpTelemetry
from nunchi.kit.listen_address import ListenAddress, ListenError, bind, is_loopback
from nunchi.kit.logs import Logger
from nunchi.kit.passwords import Busy
from nunchi.kit.telemetry import Telemetry
from nunchi.kit.web_config import WebConfig

__all__ = ["Access", "Handler", "HttpPolicy", "HttpServer", "ListenError", "Route"]

BODY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 0.2  # what a request under way has left when the server stops
KEEPALIVE_SECONDS = 75.0
LINGER_SECONDS = 2.0  # how long a refused body is still read, so that the client sees the answer
HEADER_LINE_BYTES_MAX = 64 << 10  # a query in a URL may be long
SWEEP_INTERVAL_SECONDS = 5.0
WHOLE_BODY_BYTES_MAX = 8 << 20
CLIENT_GONE = 499
OWNER = web.RequestKey("nunchi.owner", object)  # of the key that came with a request, None where none came

NOBODY = object()
KeyOwner = Callable[[str], object | None]


class HttpServer:
    """Serves `routes` at `address` (`host:port`); a `Part`. One server, one port."""

    def __init__(
        self,
        name: str,
        address: str,
        routes: Sequence[Route],
        policy: HttpPolicy,
        clock: Clock,
        telemetry: Telemetry,
        log: Logger,
        key_owner: KeyOwner | None = None,
    ) -> None:
        """`key_owner` says whose a bearer token is, None for nobody's; a key opens routes that bring samples, no others.

        The handler finds the owner in the request under `OWNER`.
        """
        self.name = name
        self._key_owner = key_owner
        self._address = ListenAddress.parse(address)
        self._route_list = tuple(routes)
        self._policy = policy
        self._clock = clock
        self._telemetry = HttpTelemetry(telemetry, name)
        self._log = log
        self._routes: dict[web.AbstractRoute, Route] = {}
        self._web_config = WebConfig(None)
        self._gate: Gate
        self._connections: HttpConnections
        self._runner: web.AppRunner | None = None
        self._listeners: list[asyncio.Server] = []
        self._host_and_port = ""
        self._changes: set[asyncio.Task[web.StreamResponse]] = set()

    @property
    def requires_client_certificate(self) -> bool:
        """Whether nobody connects without one; only a started server knows."""
        return self._web_config.requires_client_certificate

    @property
    def url(self) -> str:
        """Where the server answers, with the prefix; only a started server knows its port."""
        scheme = "http" if self._web_config.ssl_context is None else "https"
        return f"{scheme}://{self._host_and_port}{self._policy.prefix}"

    async def start(self) -> None:
        """Load the web configuration file, take the port, answer. Raises InputError or ListenError, and holds nothing then."""
        self._web_config = WebConfig(self._policy.web_config_file)
        for remark in self._web_config.remarks():
            self._log.warning(remark)
        sockets = await bind(self._address)
        try:
            self._gate = self._gate_of(sockets)
            await self._listen(sockets)
        except BaseException:
            await self.stop()
            for bound in sockets:
                bound.close()
            raise

    async def run(self) -> None:
        """Look after silent connections and the web configuration file until cancelled."""
        while True:
            await self._clock.sleep(SWEEP_INTERVAL_SECONDS)
            self._connections.sweep(self._clock.monotonic())
            try:
                if self._web_config.refresh():
                    self._log.info("web configuration file loaded again", file=self._policy.web_config_file)
            except InputError as error:
                self._log.error("web configuration file not loaded, the earlier one stays", error=error)

    async def stop(self) -> None:
        """Take no more connections, let requests end for a moment, then end them."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        for task in self._changes:
            task.cancel()
        await asyncio.gather(*self._changes, return_exceptions=True)

    def _gate_of(self, sockets: list[socket.socket]) -> Gate:
        addresses = [bound.getsockname()[0] for bound in sockets]
        is_loopback_listener = all(is_loopback(address) for address in addresses)
        config = self._web_config
        is_closed = config.ssl_context is not None and (bool(config.users) or config.requires_client_certificate)
        if not is_loopback_listener and not is_closed and not self._policy.insecure:
            cure = (
                "give both in --web.config.file, listen on 127.0.0.1, or say --web.insecure if the network is trusted"
            )
            raise InputError(f"{self._address} is open to others without TLS and authentication: {cure}")
        port = sockets[0].getsockname()[1]
        host = "127.0.0.1" if self._address.host in {"", "0.0.0.0", "::"} else self._address.host  # noqa: S104 (compared)
        self._host_and_port = str(ListenAddress(host, port))
        own_hosts = {self._address.host.lower(), *self._policy.hosts, *addresses}
        if not is_loopback_listener:
            own_hosts.add(socket.gethostname().lower())
        return Gate(self._policy, is_loopback_listener, frozenset(own_hosts - {""}))

    async def _listen(self, sockets: list[socket.socket]) -> None:
        application = web.Application(middlewares=[self._middleware])
        application.on_response_prepare.append(self._add_headers)
        for route in self._route_list:
            path = f"{self._policy.prefix}{route.path}"
            if route.method == "GET":
                self._routes[application.router.add_get(path, route.handler)] = route
            else:
                self._routes[application.router.add_route(route.method, path, route.handler)] = route
        if self._policy.prefix:
            application.router.add_get("/", self._redirect_to_prefix)
        self._runner = web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            logger=_library_logger(self.name),
            auto_decompress=False,  # bodies are decoded by their readers, with a bound
            handler_cancellation=True,
            shutdown_timeout=STOP_SECONDS_MAX,
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=HEADER_LINE_BYTES_MAX,
            max_field_size=HEADER_LINE_BYTES_MAX,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self._connections = HttpConnections(self._runner.server, self._policy.connections_max)
        loop = asyncio.get_running_loop()
        for bound in sockets:
            context = self._web_config.ssl_context
            self._listeners.append(await loop.create_server(self._connections.admit, sock=bound, ssl=context))

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer and count; what a handler raises by mistake is logged here and nowhere else."""
        began = self._clock.monotonic()
        self._connections.note_request(request)
        route = self._routes.get(request.match_info.route)
        code = CLIENT_GONE
        try:
            response = await self._answer(request, route, handler)
            code = response.status
        except web.HTTPException as error:
            code = error.status
            raise
        except InputError as error:
            code = 400
            response = _text(code, str(error))
        except Exception as error:
            code = 500
            self._log.exception(
                "request failed", server=self.name, method=request.method, path=request.path, error=error
            )
            response = _text(code, "internal error: nunchi's log says more")
        finally:
            duration_seconds = self._clock.monotonic() - began
            self._telemetry.count(route.path if route else NO_ROUTE, code, duration_seconds)
        return response

    async def _answer(self, request: web.Request, route: Route | None, handler: Handler) -> web.StreamResponse:
        if not self._gate.is_push_of_program(route, request.headers):
            refusal = self._gate.refuse_host(request.headers.get("Host"))
            if refusal is not None:
                return _refused(refusal)
        authorization = request.headers.get("Authorization", "")
        is_own = self._policy.is_own(authorization)
        owner = None if is_own else self._owner_of_key(route, authorization)
        if owner is NOBODY:
            return _text(401, "this key opens nothing here: let the agent join again", {"WWW-Authenticate": "Bearer"})
        request[OWNER] = owner
        try:
            user = None if is_own or owner is not None else await self._web_config.users.user_of(authorization)
        except Busy:
            return _refused(Refusal(503, "too many sign-ins at once: try again"))
        is_let_in = is_own or owner is not None or (route is not None and route.access is Access.JOIN)
        if user is None and self._web_config.users and not is_let_in:
            return _text(401, "Unauthorized", {"WWW-Authenticate": 'Basic realm="nunchi", charset="UTF-8"'})
        if not is_own and not self._is_allowed_client(request):
            return _refused(Refusal(403, "the client certificate has none of the names in client_allowed_sans"))
        if route is None:
            return await self._without_route(request, handler)
        is_authenticated = (
            is_own or owner is not None or user is not None or self._web_config.requires_client_certificate
        )
        refusal = (
            self._gate.refuse_access(
                route, _peer_of(request), is_authenticated=is_authenticated, is_encrypted=request.secure
            )
            or self._gate.refuse_cross_site(route, request.headers)
            or self._gate.refuse_content_type(
                route, request.headers.get("Content-Type", ""), has_body=request.body_exists
            )
        )
        if refusal is not None:
            return _refused(refusal)
        return await self._handled(request, route, handler)

    def _owner_of_key(self, route: Route | None, authorization: str) -> object | None:
        """Whose the bearer token of a request is; None where there is none to judge, NOBODY where it opens nothing."""
        scheme, _, key = authorization.partition(" ")
        if self._key_owner is None or route is None or route.access is not Access.INGEST or scheme.lower() != "bearer":
            return None
        return self._key_owner(key) or NOBODY

    async def _handled(self, request: web.Request, route: Route, handler: Handler) -> web.StreamResponse:
        """Read the body, run the handler, compress. Only reads end when their client goes away; changes are finished."""
        if request.body_exists:
            request = request.clone(client_max_size=route.body_bytes_bound)
            refusal = await _read_body(request, route.body_bytes_bound)
            if refusal is not None:
                return _refused(refusal)
        if route.access is Access.READ:
            response = await handler(request)
        else:
            task = asyncio.ensure_future(handler(request))
            self._changes.add(task)
            task.add_done_callback(self._changes.discard)
            try:
                response = await asyncio.shield(task)
            except asyncio.CancelledError:
                task.add_done_callback(self._log_unheard_failure)
                raise
        await compress(request, response)
        _send_in_pieces(response)
        return response

    def _log_unheard_failure(self, task: asyncio.Future[web.StreamResponse]) -> None:
        """A change whose client went away has ended: nobody else will hear of its failure."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("request failed after its client went away", server=self.name, error=error)

    async def _without_route(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The redirect to the prefix, 404 or 405."""
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted({*error.allowed_methods, "OPTIONS"}))
            if request.method == "OPTIONS":
                return web.Response(status=204, headers={"Allow": allowed})
            return _text(405, f"{request.method} is not allowed here, only {allowed}", {"Allow": allowed})
        except web.HTTPNotFound:
            return _text(404, f"nothing is served at {request.path}")

    async def _redirect_to_prefix(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": f"{self._policy.prefix}/"})

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(SECURITY_HEADERS)
        response.headers.update(self._web_config.headers)
        response.headers.extend(self._policy.cors_headers(request.headers.get("Origin")))
        response.headers["Server"] = "nunchi"

    def _is_allowed_client(self, request: web.Request) -> bool:
        allowed = self._web_config.client_allowed_sans
        if not allowed:
            return True
        certificate = request.get_extra_info("peercert") or {}
        return any(name in allowed for _, name in certificate.get("subjectAltName", ()))


async def _read_body(request: web.Request, bytes_max: int) -> Refusal | None:
    """Read the whole body into the request; refuse what is too large, before reading where its length is given, or too slow."""
    too_large = Refusal(413, f"the body is larger than {bytes_max} bytes: send less at once")
    if request.content_length is not None and request.content_length > bytes_max:
        return too_large
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            await request.read()
    except web.HTTPRequestEntityTooLarge:
        return too_large
    except TimeoutError:
        return Refusal(408, f"the body did not arrive within {BODY_SECONDS_MAX:g} seconds: send it faster, or less")
    except (web.RequestPayloadError, HttpProcessingError):
        return Refusal(400, "the body is not what its headers announce")
    return None


def _send_in_pieces(response: web.StreamResponse) -> None:
    """A large body goes out piece by piece: handed over as a whole it would be copied while everybody else waits."""
    if isinstance(response, web.Response) and not response.prepared and isinstance(response.body, bytes):
        body = response.body
        if len(body) > WHOLE_BODY_BYTES_MAX:
            response.body = BytesIOPayload(BytesIO(body), content_type=response.content_type)


def _library_logger(name: str) -> logging.Logger:
    """Where aiohttp reports what goes wrong inside of it; what is not HTTP is told to its sender and fills no log."""
    logger = logging.getLogger(f"{logs.ROOT}.{name}.connections")
    logger.addFilter(_is_our_fault)
    return logger


def _is_our_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _peer_of(request: web.Request) -> str | None:
    peer = request.get_extra_info("peername")
    return peer[0] if isinstance(peer, tuple) else None


def _refused(refusal: Refusal) -> web.Response:
    response = _text(refusal.status, refusal.reason)
    if refusal.status in {408, 413}:
        response.force_close()
    return response


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers=headers)
