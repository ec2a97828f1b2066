"""The one way from a handler to a response: parameters in, `{"status": …, "data": …}` out, errors mapped.

Invariant: a handler writes no response itself; what it raises of our own families becomes one JSON answer.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from nunchi.kit.errors import WorldError
from nunchi.kit.http_route import Access, Handler, Route
from nunchi.storage.errors import NotLoadedError
from nunchi.web.prometheus_api.errors import ApiError
from nunchi.web.prometheus_api.negotiation import JSON
from nunchi.web.prometheus_api.parameters import FORM, Parameters, read_parameters

LOADING_RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler found.

    data          JSON already where it is bytes, else something msgspec encodes
    content_type  of an answer that is no JSON: `data` is then the whole body
    """

    data: object
    warnings: Sequence[str] = ()
    infos: Sequence[str] = ()
    content_type: str = JSON


# None: done, and there is nothing to say (204).
ApiHandler = Callable[[Parameters], Awaitable[Answer | None]]


class Envelope:
    """Wraps handlers; `closed_reason` says why nothing can be answered rightly now, or is empty."""

    def __init__(self, closed_reason: Callable[[], str]) -> None:
        self._closed_reason = closed_reason

    def read(self, path: str, handler: ApiHandler, *methods: str) -> list[Route]:
        """Routes of one endpoint that only reads; for GET alone unless methods are named."""
        return [Route(method, path, self._wrap(handler), Access.READ) for method in methods or ("GET",)]

    def admin(self, path: str, handler: ApiHandler) -> list[Route]:
        """Routes of one endpoint that deletes or copies data; parameters may come as a form."""
        wrapped = self._wrap(handler)
        return [Route(method, path, wrapped, Access.ADMIN, content_types=(FORM,)) for method in ("POST", "PUT")]

    def _wrap(self, handler: ApiHandler) -> Handler:
        async def respond(request: web.Request) -> web.StreamResponse:
            if reason := self._closed_reason():
                return not_ready(reason)
            try:
                answer = await handler(await read_parameters(request))
            except ApiError as error:
                return _json(encode_error(error), error.status)
            except NotLoadedError as error:
                return not_loaded(error)
            except WorldError as error:
                failure = ApiError("internal", str(error))
                return _json(encode_error(failure), failure.status)
            if answer is None:
                return web.Response(status=204)
            if answer.content_type != JSON:
                assert isinstance(answer.data, bytes), answer.content_type
                return web.Response(body=answer.data, headers={"Content-Type": answer.content_type})
            return _json(encode_answer(answer), 200)

        return respond


def not_ready(reason: str) -> web.Response:
    """What is said until the server can answer rightly."""
    return web.Response(status=503, text=f"Service Unavailable: {reason}\n")


def not_loaded(error: NotLoadedError) -> web.Response:
    """What is said to a question about what is not loaded yet."""
    answer = _json(encode_error(ApiError("unavailable", str(error))), 503)
    answer.headers["Retry-After"] = str(LOADING_RETRY_SECONDS)
    return answer


def encode_answer(answer: Answer) -> bytes:
    """The body of a success."""
    data = answer.data if isinstance(answer.data, bytes) else msgspec.json.encode(answer.data)
    pieces = [b'{"status":"success","data":', data]
    for name, notices in ((b"warnings", answer.warnings), (b"infos", answer.infos)):
        if notices:
            pieces.append(b',"%s":%s' % (name, msgspec.json.encode(notices)))
    # A join of much lets go of the interpreter, formatting does not.
    return b"".join((*pieces, b"}"))


def encode_error(error: ApiError) -> bytes:
    """The body of a failure."""
    return msgspec.json.encode({"status": "error", "errorType": error.error_type, "error": str(error)})


def _json(body: bytes, status: int) -> web.Response:
    return web.Response(body=body, status=status, content_type=JSON)
