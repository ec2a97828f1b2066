"""Events and service checks at the server: taken once, kept over restarts, listed as asked for. Over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.intake.test_enrolment import ID, House, joined

from nunchi.intake.receive.happenings import EVENTS_PATH, SERVICE_CHECKS_PATH, HappeningRoutes
from nunchi.intake.registry.happenings import EPOCHS_MAX, SERVICE_CHECK_SECONDS, HappeningBook
from nunchi.kit.http_policy import HttpPolicy
from nunchi.kit.http_server import HttpServer
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.happenings import HAPPENINGS_MAX, PATH, EventReport, Happenings, ServiceCheckReport

JSON = {"Content-Type": "application/json"}


class HappeningHouse(House):
    """With a book of what happened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.happenings = HappeningBook(self.records, self.clock)
        self.happenings.open()
        routes = HappeningRoutes(self.happenings, self.book, self.registry, Telemetry()).routes()
        self.pushing = self.server
        self.server = HttpServer(
            "web", "127.0.0.1:0", routes, HttpPolicy(), self.clock, Telemetry(), logger("test"), self.book.authenticate
        )

    async def hear(self, agent: str = ID, name: str = "web-1") -> None:
        """A first round of an agent."""
        await self.pushing.start()
        own, self.server = self.server, self.pushing
        assert await self.push("", agent, name) == 200
        self.server = own
        await self.pushing.stop()

    async def tell(
        self, *events: EventReport, first: int = 0, epoch: int = 1, key: str = "", **more: Any
    ) -> tuple[int, Any]:
        body = Happenings(more.pop("agent", ID), "web-1", epoch, first, list(events), **more)
        return await self.ask("POST", PATH, key, data=msgspec.json.encode(body), headers=dict(JSON))

    async def titles(self, query: str = "") -> list[str]:
        status, found = await self.ask("GET", EVENTS_PATH + query)
        assert status == 200, found
        return [one["title"] for one in found["events"]]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[HappeningHouse]:
    found = HappeningHouse(tmp_path)
    await found.server.start()
    yield found
    await found.server.stop()
    found.records.close()


def event(title: str, at_ms: int = 1, **more: Any) -> EventReport:
    return EventReport(at_ms, title, **more)


async def test_events_are_taken_once_and_outlive_the_process(house: HappeningHouse, tmp_path: Path) -> None:
    await house.hear()
    assert await house.tell(event("a", 1), event("b", 3)) == (200, {"accepted": 2, "duplicate": 0})
    assert await house.tell(event("a", 1), event("b", 3)) == (200, {"accepted": 0, "duplicate": 2})
    assert await house.tell(event("b", 3), event("c", 2), first=1) == (200, {"accepted": 1, "duplicate": 1})
    assert await house.tell(event("next start"), epoch=2) == (200, {"accepted": 1, "duplicate": 0})
    assert await house.tell(event("late of the first"), first=3) == (200, {"accepted": 1, "duplicate": 0})
    house.records.close()
    again = HappeningHouse(tmp_path)
    await again.server.start()
    await again.hear()
    assert await again.titles() == ["b", "c", "late of the first", "next start", "a"]
    assert await again.tell(event("b", 3), event("c", 2), first=1) == (200, {"accepted": 0, "duplicate": 2})
    await again.server.stop()
    again.records.close()
    house.records.open()


async def test_events_are_found_by_text_type_and_agent(house: HappeningHouse) -> None:
    await house.hear()
    await house.tell(
        event("Deploy", 1, text="of shop", alert_type="success", tags=[("env", "prod")]),
        event("Crash", 2, host="db-1", alert_type="error"),
        event("Crash again", 3, alert_type="warning"),
    )
    assert await house.titles() == ["Crash again", "Crash", "Deploy"]
    assert await house.titles("?search=env:prod+SHOP") == ["Deploy"]
    assert await house.titles("?alert_type=error&alert_type=success") == ["Crash", "Deploy"]
    assert await house.titles("?agent=web-1&limit=1") == ["Crash again"]
    assert await house.titles("?agent=other") == []
    for limit in ("0", "1001", "x", "9" * 5000):
        assert (await house.ask("GET", f"{EVENTS_PATH}?limit={limit}"))[0] in {400, 414}


async def test_of_a_service_check_the_last_word_counts_with_when_it_came_to_be_so(house: HappeningHouse) -> None:
    await house.hear()
    said = [(1, "db", 0), (2, "db", 2), (3, "db", 2), (4, "web", 1)]
    checks = [ServiceCheckReport(at_ms, name, state, tags=[("a", "b")]) for at_ms, name, state in said]
    assert (await house.tell(service_checks=checks))[0] == 200
    _, found = await house.ask("GET", SERVICE_CHECKS_PATH)
    shown = [(one["name"], one["state"], one["at_ms"], one["since_ms"]) for one in found["service_checks"]]
    assert shown == [("db", "critical", 3, 2), ("web", "warning", 4, 4)]
    await house.clock.advance(SERVICE_CHECK_SECONDS + 700)
    assert (await house.ask("GET", SERVICE_CHECKS_PATH))[1] == {"service_checks": []}
    assert house.records.entities("service_check") == []


async def test_who_is_not_heard_not_enabled_or_not_itself_is_told_so_and_nothing_is_kept(house: HappeningHouse) -> None:
    assert (await house.tell(event("early")))[0] == 503
    key = joined(house)
    assert (await house.tell(event("without its key")))[0] == 403
    assert (await house.tell(event("early"), key=key))[0] == 503
    await house.hear("b" * 32, "web-2")
    status, _ = await house.tell(event("of another"), agent="b" * 32)
    assert status == 200
    house.book.enable("b" * 32, is_enabled=False)
    assert (await house.tell(event("disabled"), agent="b" * 32, first=1))[0] == 503
    assert await house.titles() == ["of another"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b'{"agent": 1}',
        msgspec.json.encode(Happenings(ID, "n", 1, 0, [event("")])),
        msgspec.json.encode(Happenings(ID, "n", 1, 0, [event("x" * 2000)])),
        msgspec.json.encode(Happenings(ID, "n", 1, -1, [event("x")])),
        msgspec.json.encode(Happenings(ID, "n", 1, 0, [event("x")] * (HAPPENINGS_MAX + 1))),
        msgspec.json.encode(Happenings(ID, "n", 1, 0, [], [ServiceCheckReport(1, "x", 4)])),
        msgspec.json.encode(Happenings(ID, "n", 1, 0, [event("x", tags=[("a", "b")] * 101)])),
    ],
)  # fmt: skip
async def test_what_is_no_list_of_happenings_is_refused_whole(house: HappeningHouse, body: bytes) -> None:
    await house.hear()
    status, answer = await house.ask("POST", PATH, data=body, headers=dict(JSON))
    assert (status, "error" in answer) == (400, True)
    assert await house.titles() == []


async def test_only_the_last_epochs_of_an_agent_are_remembered(house: HappeningHouse) -> None:
    await house.hear()
    for epoch in range(EPOCHS_MAX + 3):
        await house.tell(event(str(epoch)), epoch=epoch)
    [(_, mark)] = house.records.entities("happenings_mark")
    assert len(msgspec.json.decode(mark)["taken"]) == EPOCHS_MAX
