"""`POST /api/v1/push`: the agents' rounds, as docs/formats/payload.md says.

Invariant: an answer of 200 says that every sample of the payload is committed, was before, or never will be; whatever else
is answered, the agent keeps the payload or learns what is wrong with it.
"""

import msgspec
from aiohttp import web

from nunchi.intake.registry.agent_registry import Acknowledgement, AgentRegistry
from nunchi.intake.registry.errors import AgentConflictError, NotStoredError
from nunchi.kit.http_server import Access, Route
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.errors import BodyTooLarge, UnknownVersion, WireError
from nunchi.wire.payload import BODY_BYTES_MAX, CONTENT_TYPE, agent_id_of, open_envelope

PATH = "/api/v1/push"
RETRY_AFTER_SECONDS = 2


class PushReceiver:
    """Takes payloads and answers them."""

    def __init__(self, registry: AgentRegistry, telemetry: Telemetry) -> None:
        self._registry = registry
        self._pushes = telemetry.counter("nunchi_pushes_total", "Payloads of agents, by the status answered.", "status")

    def routes(self) -> list[Route]:
        """What this receiver serves."""
        return [
            Route(
                "POST", PATH, self.receive, Access.INGEST, body_bytes_max=BODY_BYTES_MAX, content_types=(CONTENT_TYPE,)
            )
        ]

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one push."""
        response = self._answer(request.remote or "", await request.read())
        self._pushes.add(1, str(response.status))
        return response

    def _answer(self, address: str, body: bytes) -> web.Response:
        try:
            opened = open_envelope(body, BODY_BYTES_MAX)
            reader = self._registry.reader(agent_id_of(opened))
            return _acknowledged(self._registry.receive(reader.read_body(opened), address, reader))
        except BodyTooLarge as error:
            return web.Response(status=413, text=str(error))
        except UnknownVersion as error:
            return web.Response(status=415, text=str(error))
        except WireError as error:
            return web.Response(status=400, text=str(error))
        except AgentConflictError as error:
            return web.Response(status=409, text=str(error))
        except NotStoredError as error:
            return web.Response(status=503, text=str(error), headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _acknowledged(done: Acknowledgement) -> web.Response:
    answer = {"accepted": done.accepted, "duplicate": done.duplicate, "rejected": done.rejected}
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
