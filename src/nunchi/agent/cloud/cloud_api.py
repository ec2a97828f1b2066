"""The cloud's part of the agent's own API: the configuration (see, post, check, drop), credentials, clippers.

Invariant: what is posted is a closed schema and changes nothing until it was read whole; nothing shown has a key in it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from nunchi.agent.clipper import Provider
from nunchi.agent.cloud.clip_manager import ClipManager
from nunchi.agent.cloud.configuration_source import ConfigurationSource
from nunchi.agent.cloud.errors import CloudError
from nunchi.agent.cloud.reporter import CloudReporter
from nunchi.kit.errors import InputError
from nunchi.kit.http_route import Access, Route
from nunchi.wire.cloud_configuration import EXTERNAL_ID, NAME, ROLE, TEXT_CHARACTERS_MAX, parse_cloud_configuration

PREFIX = "/api/v1/cloud"


class CredentialCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which credentials are tried: a name of the agent's settings (none: its surroundings'), and a role."""

    provider: str = "aws"
    credentials: str = ""
    role_arn: str = ""
    external_id: str = ""


class CloudApi:
    """Routes; who may use them is the API's affair."""

    def __init__(
        self,
        manager: ClipManager,
        source: ConfigurationSource,
        reporter: CloudReporter | None,
        providers: Sequence[Provider],
    ) -> None:
        self._manager = manager
        self._source = source
        self._reporter = reporter
        self._providers = {provider.name: provider for provider in providers}

    def routes(self) -> list[Route]:
        """What it serves."""
        return [
            Route("GET", f"{PREFIX}/configuration", self.show_configuration, Access.READ),
            Route("POST", f"{PREFIX}/configuration", self.take_configuration, Access.CHANGE),
            Route("DELETE", f"{PREFIX}/configuration", self.drop_configuration, Access.CHANGE),
            Route("POST", f"{PREFIX}/configuration/check", self.check_configuration, Access.CHANGE),
            Route("POST", f"{PREFIX}/credentials/check", self.check_credentials, Access.CHANGE),
            Route("GET", f"{PREFIX}/clippers", self.show_clippers, Access.READ),
        ]

    async def show_configuration(self, _request: web.Request) -> web.Response:
        """The configuration in force, and whose it is."""
        kept = self._source.kept
        return json_response({"origin": kept.origin, "version": kept.version, "text": kept.text,
                              "changed_at_ms": self._source.changed_at_ms})  # fmt: skip

    async def take_configuration(self, request: web.Request) -> web.Response:
        """Obey the configuration in the body (YAML or JSON); 400 with place and cure where it is broken."""
        try:
            await self._source.put(await body_text(request))
        except InputError as error:
            return json_response({"error": str(error)}, 400)
        return json_response({"state": self._manager.state, "clippers": self._manager.status()})

    async def drop_configuration(self, _request: web.Request) -> web.Response:
        """Stop the clippers and wait for the server's configuration."""
        await self._source.forget()
        return json_response({"state": self._manager.state})

    async def check_configuration(self, request: web.Request) -> web.Response:
        """What is wrong with the configuration in the body, for this agent; nothing is changed."""
        try:
            configuration = parse_cloud_configuration(await body_text(request), "cloud configuration")
        except InputError as error:
            return json_response({"error": str(error)}, 400)
        return json_response({"problems": self._manager.check(configuration)})

    async def check_credentials(self, request: web.Request) -> web.Response:
        """Log in and list the regions; 422 with the reason where that fails."""
        try:
            asked = msgspec.json.decode(await request.read() or b"{}", type=CredentialCheck)
        except msgspec.MsgspecError as error:
            return json_response({"error": str(error)}, 400)
        problem = refusal(asked, self._providers)
        if problem:
            return json_response({"error": problem}, 400)
        try:
            regions = await self._providers[asked.provider].check_credentials(
                "check", asked.credentials, asked.role_arn, asked.external_id
            )
        except CloudError as error:
            return json_response({"error": str(error), "reason": error.kind.value}, 422)
        return json_response({"regions": list(regions)})

    async def show_clippers(self, _request: web.Request) -> web.Response:
        """Every clipper and what its account costs."""
        return json_response(self.status())

    def status(self) -> dict[str, Any]:
        """The cloud's part of the agent's status."""
        kept, source = self._source.kept, self._source
        shown: dict[str, Any] = {
            "state": self._manager.state,
            "configuration": {"origin": kept.origin, "version": kept.version, "last_error": source.last_error},
            "clippers": self._manager.status(),
        }
        if self._reporter is not None:
            shown["costs"] = self._reporter.costs()
        return shown


def refusal(asked: CredentialCheck, providers: dict[str, Provider]) -> str:
    """Why a check of credentials is not made; empty where it is."""
    if asked.provider not in providers:
        return f"no provider {asked.provider!r}: known are {', '.join(sorted(providers))}"
    if asked.credentials and not NAME.fullmatch(asked.credentials):
        return "credentials: write the name under which the agent's settings know them"
    if asked.role_arn and not ROLE.fullmatch(asked.role_arn):
        return "role_arn: write a role as in arn:aws:iam::123456789012:role/monitoring"
    if asked.external_id and not (asked.role_arn and EXTERNAL_ID.fullmatch(asked.external_id)):
        return "external_id: it belongs to a role_arn, and has letters, digits and +=,.@:/-"
    return ""


async def body_text(request: web.Request) -> str:
    """The body as text; what is no text, or too long, is for the parser to refuse."""
    return (await request.read()).decode(errors="replace")[: TEXT_CHARACTERS_MAX + 1]


def json_response(content: object, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")
