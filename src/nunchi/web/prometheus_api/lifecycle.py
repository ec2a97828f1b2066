"""What stands outside `/api/v1`: `/-/healthy`, `/-/ready`, `/-/reload`, `/-/quit`, `/metrics`, `/version`."""

import msgspec
from aiohttp import web

from nunchi.kit.errors import NunchiError
from nunchi.kit.http_route import Access, Route
from nunchi.web.contracts import Quit, Reload, StatusSource
from nunchi.web.prometheus_api.envelope import not_ready
from nunchi.wire.exposition_format import ExpositionFormat


class LifecycleEndpoints:
    """Health, readiness, reload, telemetry and version as machines ask for them."""

    def __init__(self, source: StatusSource, reload: Reload, quit_process: Quit) -> None:
        self._source = source
        self._reload = reload
        self._quit = quit_process

    def routes(self) -> list[Route]:
        """All of them; the HTTP server refuses `/-/reload` and `/-/quit` where the lifecycle API is off."""
        return [
            Route("GET", "/-/healthy", self.healthy, Access.READ),
            Route("GET", "/-/ready", self.ready, Access.READ),
            Route("POST", "/-/reload", self.reload, Access.LIFECYCLE),
            Route("PUT", "/-/reload", self.reload, Access.LIFECYCLE),
            Route("POST", "/-/quit", self.quit, Access.LIFECYCLE),
            Route("PUT", "/-/quit", self.quit, Access.LIFECYCLE),
            Route("GET", "/metrics", self.metrics, Access.READ),
            Route("GET", "/version", self.version, Access.READ),
        ]

    async def healthy(self, _: web.Request) -> web.Response:
        """The process lives."""
        return web.Response(text="nunchi is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        """The process answers queries rightly, or why not yet."""
        if reason := self._source.not_ready_reason():
            return not_ready(reason)
        return web.Response(text="nunchi is ready.\n")

    async def reload(self, _: web.Request) -> web.Response:
        """Read the configuration again; what is broken is said and the old one stays."""
        try:
            await self._reload()
        except NunchiError as error:
            return web.Response(status=500, text=f"failed to reload config: {error}\n")
        return web.Response()

    async def quit(self, _: web.Request) -> web.Response:
        """End the process as SIGTERM does."""
        self._quit()
        return web.Response(text="nunchi is stopping.\n")

    async def metrics(self, request: web.Request) -> web.Response:
        """The process's own telemetry, in the text that the asker likes best."""
        chosen = ExpositionFormat.of_accept(request.headers.get("Accept"))
        return web.Response(body=self._source.metrics(chosen), headers={"Content-Type": chosen.content_type})

    async def version(self, _: web.Request) -> web.Response:
        """Which program this is."""
        build = self._source.build()
        fields = {"version": build.version, "revision": build.revision, "branch": build.branch}
        return web.Response(body=msgspec.json.encode(fields), content_type="application/json")
