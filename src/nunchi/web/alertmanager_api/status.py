"""`/api/v2/status` and `/api/v2/receivers`: which program notifies, by which configuration, whom."""

from aiohttp import web

from nunchi.kit.http_route import Route
from nunchi.kit.settings import dump
from nunchi.web.alertmanager_api.answers import names, route, shown_moment
from nunchi.web.contracts import NotifySource, StatusSource


class StatusEndpoints:
    """Endpoints about the notifying side of the process."""

    def __init__(self, source: NotifySource, status: StatusSource) -> None:
        self._source = source
        self._status = status

    def routes(self) -> list[Route]:
        """Both."""
        return [route("GET", "status", self.status), route("GET", "receivers", self.receivers)]

    async def status(self, _: web.Request) -> object:
        """Nothing is clustered here; the configuration is empty where nunchi notifies nobody itself."""
        settings = self._source.settings
        return {
            "cluster": {"status": "disabled", "peers": []},
            "config": {"original": "" if settings is None else dump(settings)},
            "uptime": shown_moment(self._status.runtime().started_ms),
            "versionInfo": self._status.build().shown(),
        }

    async def receivers(self, _: web.Request) -> object:
        """Names of all receivers."""
        settings = self._source.settings
        return names(() if settings is None else (receiver.name for receiver in settings.receivers))
