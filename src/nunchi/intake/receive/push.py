"""`POST /api/v1/push`: the agents' rounds, as docs/formats/payload.md says.

Invariant: an answer of 200 says that every sample of the payload is committed, was before, or never will be; whatever else
is answered, the agent keeps the payload or learns what is wrong with it.
"""

import msgspec
from aiohttp import web

from nunchi.intake.registry.agent_book import AgentBook, Owner
from nunchi.intake.registry.agent_registry import Acknowledgement, AgentRegistry
from nunchi.intake.registry.errors import AgentConflictError, NotStoredError
from nunchi.kit.http_server import OWNER, Access, Route
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.errors import BodyTooLarge, UnknownVersion, WireError
from nunchi.wire.payload import CONTENT_TYPE, agent_id_of
from nunchi.wire.payload_envelope import BODY_BYTES_MAX, has_histograms, open_envelope

PATH = "/api/v1/push"
RETRY_AFTER_SECONDS = 2
DISABLED_RETRY_AFTER_SECONDS = 60


class PushReceiver:
    """Takes payloads and answers them."""

    def __init__(self, registry: AgentRegistry, telemetry: Telemetry, book: AgentBook | None = None) -> None:
        """`book` knows whose ids are spoken for by keys, and who is not wanted."""
        self._registry = registry
        self._book = book
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
        owner = request.get(OWNER)
        return self.answer(request.remote or "", await request.read(), owner if isinstance(owner, Owner) else None)

    def answer(self, address: str, body: bytes, owner: Owner | None = None) -> web.Response:
        """Answer one push of a peer, or of an agent in this process; `owner` is whose key it came with."""
        response = self._answer(address, body, owner)
        self._pushes.add(1, str(response.status))
        return response

    def _answer(self, address: str, body: bytes, owner: Owner | None) -> web.Response:
        try:
            opened = open_envelope(body, BODY_BYTES_MAX)
            agent_id = owner.agent_id if owner is not None else agent_id_of(opened)
            refusal = self._refusal(agent_id, owner)
            if refusal is not None:
                return refusal
            reader = self._registry.reader(agent_id)
            payload = reader.read_body(opened, with_histograms=has_histograms(body))
            return _acknowledged(self._registry.receive(payload, address, reader, owner))
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

    def _refusal(self, agent_id: str, owner: Owner | None) -> web.Response | None:
        """Why nothing of this agent is taken now, before any of it is kept."""
        if self._book is None:
            return None
        if owner is None and self._book.is_enrolled(agent_id):
            return web.Response(status=403, text=f"agent {agent_id} delivers with its key only: let it join")
        if not self._book.is_enabled(agent_id):
            text = f"agent {agent_id} is disabled here: it may keep what it has"
            return web.Response(status=403, text=text, headers={"Retry-After": str(DISABLED_RETRY_AFTER_SECONDS)})
        return None


def _acknowledged(done: Acknowledgement) -> web.Response:
    answer = {"accepted": done.accepted, "duplicate": done.duplicate, "rejected": done.rejected}
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
