"""From requests to answers as Alertmanager gives them: bare JSON, and an error as a JSON string, or as code and message.

Invariant: a handler returns what is to be encoded; what it raises becomes one answer.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web

from nunchi.kit.http_route import Access, Handler, Route
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher
from nunchi.notify.errors import MatcherError
from nunchi.notify.matchers import make_matcher, parse_matchers
from nunchi.web.prometheus_api.moments import format_moment

JSON = "application/json"
BAD_REQUEST, NOT_FOUND, UNPROCESSABLE = 400, 404, 422
MILLISECOND = 0.001
FILTERS_MAX = 100

Told = TypeVar("Told")
ApiHandler = Callable[[web.Request], Awaitable[object]]

# With a zone, as RFC 3339 has it.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Refused(Exception):  # noqa: N818 (an answer, not a mistake of ours)
    """Ends a request with this status and body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def route(method: str, path: str, handler: ApiHandler, access: Access = Access.READ) -> Route:
    """One endpoint below `/api/v2`; bodies are JSON."""

    async def respond(request: web.Request) -> web.StreamResponse:
        try:
            answer, status = await handler(request), 200
        except Refused as refusal:
            answer, status = refusal.body, refusal.status
        body = b"" if answer is None else msgspec.json.encode(answer) + b"\n"
        return web.Response(body=body, status=status, content_type=JSON)

    wrapped: Handler = respond
    has_body = access is not Access.READ and method == "POST"
    return Route(method, f"/api/v2/{path}", wrapped, access, content_types=(JSON,) if has_body else ())


async def read_body(request: web.Request, kind: type[Told]) -> Told:
    """The body as a struct; refuses what is none."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(BAD_REQUEST, {"code": BAD_REQUEST, "message": f"the body cannot be read: {error}"}) from None


def read_filters(request: web.Request) -> list[Matcher]:
    """The matchers of every `filter`; refuses what is none."""
    texts = request.query.getall("filter", [])
    if len(texts) > FILTERS_MAX:
        raise Refused(BAD_REQUEST, f"more than {FILTERS_MAX} filters")
    try:
        return [matcher for text in texts for matcher in parse_matchers(text)]
    except MatcherError as error:
        raise Refused(BAD_REQUEST, str(error)) from None


def read_receiver(request: web.Request) -> Matcher | None:
    """What a receiver's name must match, where `receiver` says so."""
    text = request.query.get("receiver", "")
    try:
        return make_matcher("receiver", "=~", text) if text else None
    except MatcherError as error:
        raise Refused(BAD_REQUEST, f"failed to parse receiver param: {error}") from None


def is_wished(request: web.Request, name: str) -> bool:
    """A switch of the query: on unless it says false."""
    return request.query.get(name, "").lower() not in {"false", "0", "f"}


def timestamp_ms(moment: datetime | None) -> int:
    """Milliseconds since the epoch; 0 for none, and for the year 1, which is Go's word for none."""
    if moment is None or moment.year == 1:
        return 0
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / MILLISECOND)


def shown_moment(at_ms: int) -> str:
    """RFC 3339, always with milliseconds."""
    text = format_moment(at_ms)
    return text if "." not in text else f"{text.rstrip('Z').partition('.')[0]}.{at_ms % 1000:03d}Z"


def shown_labels(labels: Labels) -> dict[str, str]:
    """As an object."""
    return dict(labels.pairs)


def names(all_names: Iterable[str]) -> list[dict[str, str]]:
    """Receivers as the API lists them."""
    return [{"name": name} for name in all_names]
