"""`/api/v2/silences` and `/api/v2/silence/{id}`: what people muted, from when until when, and why."""

import uuid
from collections.abc import Callable

import msgspec
from aiohttp import web

from nunchi.kit.http_route import Access, Route
from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.notify.errors import MatcherError
from nunchi.notify.matchers import make_matcher
from nunchi.notify.silences import Silence, SilenceError, SilenceState, UnknownSilenceError
from nunchi.web.alertmanager_api.answers import (
    BAD_REQUEST,
    NOT_FOUND,
    UNPROCESSABLE,
    Moment,
    Refused,
    read_body,
    read_filters,
    route,
    shown_labels,
    shown_moment,
    timestamp_ms,
)
from nunchi.web.contracts import NotifySource

NO_UUID = 601  # the code that Alertmanager's validation gives
OPERATORS = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}


class ToldMatcher(msgspec.Struct, frozen=True, rename="camel"):
    """One matcher of a silence."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class ToldSilence(msgspec.Struct, frozen=True, rename="camel"):
    """A silence as a program tells it; with an `id`, a change of one that is there."""

    matchers: list[ToldMatcher]
    starts_at: Moment
    ends_at: Moment
    created_by: str
    comment: str
    id: str | None = None
    annotations: dict[str, str] = {}

    def silence(self) -> Silence:
        """The same as notifications have it. Raises `MatcherError`."""
        matchers = [make_matcher(one.name, OPERATORS[one.is_equal, one.is_regex], one.value) for one in self.matchers]
        return Silence(
            tuple(matchers),
            timestamp_ms(self.starts_at),
            timestamp_ms(self.ends_at),
            self.created_by,
            self.comment,
            id=self.id or "",
            annotations=Labels(self.annotations),
        )


class SilenceEndpoints:
    """Endpoints about silences."""

    def __init__(self, source: NotifySource, now_ms: Callable[[], int]) -> None:
        self._silences = source.silences
        self._now_ms = now_ms

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            route("GET", "silences", self.list),
            route("POST", "silences", self.set, Access.CHANGE),
            route("GET", "silence/{id}", self.show),
            route("DELETE", "silence/{id}", self.end, Access.CHANGE),
        ]

    async def list(self, request: web.Request) -> object:
        """Active ones first, the next to end at the top; then those to come; then those that are over."""
        filters = read_filters(request)
        found = [silence for silence in self._silences.all() if _is_meant(silence, filters)]
        now_ms = self._now_ms()
        return [self._shown(silence) for silence in sorted(found, key=lambda silence: _rank(silence, now_ms))]

    async def show(self, request: web.Request) -> object:
        """One of them."""
        identity = _identity(request)
        try:
            return self._shown(self._silences.lookup(identity))
        except UnknownSilenceError:
            raise Refused(NOT_FOUND, None) from None

    async def set(self, request: web.Request) -> object:
        """Add or change one."""
        told = await read_body(request, ToldSilence)
        try:
            return {"silenceID": self._silences.set(told.silence())}
        except UnknownSilenceError:
            raise Refused(NOT_FOUND, "silence not found") from None
        except (SilenceError, MatcherError) as error:
            raise Refused(BAD_REQUEST, f"invalid silence: {error}") from None

    async def end(self, request: web.Request) -> None:
        """Let one expire now."""
        identity = _identity(request)
        try:
            self._silences.end(identity)
        except UnknownSilenceError:
            raise Refused(NOT_FOUND, None) from None

    def _shown(self, silence: Silence) -> dict[str, object]:
        annotations = {"annotations": shown_labels(silence.annotations)} if len(silence.annotations) else {}
        return {
            "id": silence.id,
            "status": {"state": silence.state(self._now_ms()).value},
            "matchers": [_matcher(matcher) for matcher in silence.matchers],
            "startsAt": shown_moment(silence.starts_at_ms),
            "endsAt": shown_moment(silence.ends_at_ms),
            "updatedAt": shown_moment(silence.updated_at_ms),
            "createdBy": silence.created_by,
            "comment": silence.comment,
            **annotations,
        }


def _identity(request: web.Request) -> str:
    text = request.match_info["id"]
    try:
        return str(uuid.UUID(text))
    except ValueError:
        message = f'silenceID in path must be of type uuid: "{text}"'
        raise Refused(UNPROCESSABLE, {"code": NO_UUID, "message": message}) from None


def _is_meant(silence: Silence, filters: "list[Matcher]") -> bool:
    """Whether for each filter some matcher of that name has a value that it matches."""
    return all(
        any(own.name == wanted.name and wanted.matches(own.value) for own in silence.matchers) for wanted in filters
    )


def _rank(silence: Silence, now_ms: int) -> tuple[int, int]:
    match silence.state(now_ms):
        case SilenceState.ACTIVE:
            return 0, silence.ends_at_ms
        case SilenceState.PENDING:
            return 1, silence.starts_at_ms
        case SilenceState.EXPIRED:
            return 2, -silence.ends_at_ms


def _matcher(matcher: Matcher) -> dict[str, object]:
    is_regex = matcher.operator in {MatchOperator.REGEX, MatchOperator.NOT_REGEX}
    is_equal = matcher.operator in {MatchOperator.EQUAL, MatchOperator.REGEX}
    return {"name": matcher.name, "value": matcher.value, "isRegex": is_regex, "isEqual": is_equal}
