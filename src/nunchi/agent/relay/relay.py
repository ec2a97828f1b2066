"""Routes of the relay: who may hand samples over, and what is answered.

An answer of 200 says that the samples are in the spool, on disk, and are delivered like the agent's own; what cannot be had now
is answered 503, so that the source keeps it.
Invariant: without a token nothing is read; nothing of a body is taken unless all of it can be read; samples of others fill
half of the spool at most.
"""

import asyncio
import base64
import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from nunchi.agent.relay.format import Format, Reading, RelayError
from nunchi.agent.relay.formats import FORMATS
from nunchi.agent.relay.rounds import SourceRounds
from nunchi.agent.relay.telemetry import RelayTelemetry
from nunchi.agent.relay_settings import RelaySettings
from nunchi.agent.rounds import Round
from nunchi.kit.clock import Clock
from nunchi.kit.http_route import Access, Handler, Route
from nunchi.wire.compression import decode
from nunchi.wire.errors import BodyTooLarge, WireError

PATH = "/api/v1/"
RETRY_AFTER_SECONDS = 30
ASIDE_BYTES_MIN = 64 << 10  # larger bodies are read beside the loop
SAMPLES_MAX = 100_000

PutRounds = Callable[[Sequence[Round]], None]


class Relay:
    """Takes samples of the sources named in the settings. `has_room` says whether the spool takes what is not our own."""

    def __init__(
        self,
        settings: RelaySettings,
        labels: Callable[[], Mapping[str, str]],
        put_rounds: PutRounds,
        has_room: Callable[[], bool],
        clock: Clock,
        telemetry: RelayTelemetry,
    ) -> None:
        self._settings = settings
        self._labels = labels
        self._put_rounds = put_rounds
        self._has_room = has_room
        self._clock = clock
        self._telemetry = telemetry
        self._rounds = {name: SourceRounds(name, one) for name, one in settings.sources.items()}

    def routes(self) -> list[Route]:
        """One for every format."""
        if not self._settings.sources:
            return []
        bound = self._settings.body_bytes_max
        return [
            Route("POST", PATH + one.name, self._taker(one), Access.JOIN, bound, one.content_types) for one in FORMATS
        ]

    def _taker(self, form: Format) -> Handler:
        async def take(request: web.Request) -> web.Response:
            source = self._source_of(request.headers.get("Authorization", ""))
            if source is None:
                self._telemetry.requests.add(1, "", form.name, "unauthorized")
                return _refused(
                    401, "say who you are: Authorization: Bearer and the token of a source, or Basic with its name"
                )
            outcome, answer = await self._take(request, form, source)
            self._telemetry.requests.add(1, source, form.name, outcome)
            return answer

        return take

    async def _take(self, request: web.Request, form: Format, source: str) -> tuple[str, web.Response]:
        if not self._has_room():
            return "full", _refused(503, "the spool is half full: keep this for now, the server does not take samples")
        try:
            reading = await self._read(request, form)
        except BodyTooLarge as error:
            return "too_large", _refused(413, str(error))
        except (RelayError, WireError) as error:
            return "refused", _refused(400, str(error))
        if len(reading.samples) > SAMPLES_MAX:
            return "too_large", _refused(
                413, f"{len(reading.samples)} samples are more than {SAMPLES_MAX}: send fewer at once"
            )
        dropped = self._put(source, reading)
        taken = len(reading.samples) - sum(dropped.values())
        for reason, count in reading.left_out.items():
            dropped[reason] = dropped.get(reason, 0) + count
        for reason, count in dropped.items():
            self._telemetry.dropped.add(count, source, reason)
        return "taken", _json({"taken": taken, "dropped": dropped})

    async def _read(self, request: web.Request, form: Format) -> Reading:
        raw, coding = await request.read(), request.headers.get("Content-Encoding")
        now_ms, parameters = self._clock.now_ms(), dict(request.query)

        def read() -> Reading:
            return form.read(decode(coding or "identity", raw, self._settings.body_bytes_max), now_ms, parameters)

        return await asyncio.to_thread(read) if len(raw) >= ASIDE_BYTES_MIN or coding else read()

    def _put(self, source: str, reading: Reading) -> dict[str, int]:
        own = self._rounds[source]
        rounds, dropped = own.rounds(reading.samples, self._labels(), self._clock.now_ms())
        if rounds:
            self._put_rounds(rounds)
            self._telemetry.samples.add(sum(map(len, rounds)), source)
        self._telemetry.series.set(len(own), source)
        return dropped

    def _source_of(self, authorization: str) -> str | None:
        """Whose token was sent. All are compared, so that the time tells nothing."""
        name, token = _credentials(authorization)
        found = None
        for source, own in self._settings.sources.items():
            is_token = hmac.compare_digest(own.token.reveal().encode(), token.encode())
            if is_token and name in ("", source):
                found = source
        return found


def _credentials(authorization: str) -> tuple[str, str]:
    """Name (empty with a bearer token) and token of a header."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return "", rest.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user or "-", password
    return "", ""


def _refused(status: int, reason: str) -> web.Response:
    headers = {"WWW-Authenticate": 'Bearer, Basic realm="nunchi agent"'} if status == 401 else {}
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return web.Response(status=status, text=reason + "\n", headers=headers)


def _json(content: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")
