"""When the server is asked: it holds its answer until something changes, or does not know how to; people change their minds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.agent.clippers.clipping import Clipping
from tests.agent.clippers.links import RecordingLink

from nunchi.wire.cloud_exchange import HandedConfiguration

NOWHERE = "http://127.0.0.1:9"
ONE, TWO = (f"aws: [{{name: {name}, regions: [eu-west-1]}}]" for name in ("one", "two"))


@asynccontextmanager
async def asking(folder: Path, *, waits: bool) -> AsyncIterator[tuple[Clipping, RecordingLink]]:
    link = RecordingLink()
    clipping = Clipping(NOWHERE, folder, link)
    link.waits_with = clipping.clock if waits else None
    link.hand(HandedConfiguration("v1", ONE))
    await clipping.cloud.source.start()
    task = asyncio.create_task(clipping.cloud.source.run())
    await clipping.pass_time(0)
    try:
        yield clipping, link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await clipping.stop()


def accounts(clipping: Clipping) -> set[str]:
    return {one["account"] for one in clipping.cloud.manager.status()}


async def test_a_change_is_there_within_a_second_and_an_hour_of_nothing_costs_few_questions(tmp_path: Path) -> None:
    async with asking(tmp_path, waits=True) as (clipping, link):
        await clipping.pass_time(10)
        assert accounts(clipping) == {"one"}
        link.hand(HandedConfiguration("v2", TWO))
        await clipping.pass_time(1)
        assert accounts(clipping) == {"two"}
        before = len(link.asked)
        await clipping.pass_time(3600)
        assert len(link.asked) - before <= 3600 / 25 + 1


async def test_a_server_that_does_not_wait_is_asked_every_few_seconds(tmp_path: Path) -> None:
    async with asking(tmp_path, waits=False) as (clipping, link):
        await clipping.pass_time(60)
        assert 10 <= len(link.asked) <= 14
        link.hand(HandedConfiguration("v2", TWO))
        await clipping.pass_time(6)
        assert accounts(clipping) == {"two"}


async def test_what_is_posted_wins_while_the_server_is_being_asked_and_dropping_it_asks_at_once(tmp_path: Path) -> None:
    async with asking(tmp_path, waits=True) as (clipping, link):
        await clipping.pass_time(5)
        await clipping.cloud.source.put(TWO)
        assert accounts(clipping) == {"two"}
        asked = len(link.asked)
        link.hand(HandedConfiguration("v2", ONE))
        await clipping.pass_time(60)
        assert (accounts(clipping), len(link.asked)) == ({"two"}, asked)
        await clipping.cloud.source.forget()
        await clipping.pass_time(1)
        assert accounts(clipping) == {"one"}
        await clipping.cloud.source.forget()
        await clipping.pass_time(1)
        assert accounts(clipping) == {"one"}, "the server still wants it"
        clipping.cloud.source.is_asking = False
        link.hand(HandedConfiguration("v3", TWO))
        await clipping.pass_time(60)
        assert accounts(clipping) == {"one"}
        clipping.cloud.source.is_asking = True
        await clipping.pass_time(1)
        assert accounts(clipping) == {"two"}


async def test_an_answer_that_comes_while_another_is_posted_changes_nothing(tmp_path: Path) -> None:
    async with asking(tmp_path, waits=True) as (clipping, link):
        link.handed = HandedConfiguration("v9", ONE)
        posted = asyncio.create_task(clipping.cloud.source.put(TWO))
        heard = asyncio.create_task(clipping.cloud.source._ask(link))
        await asyncio.gather(posted, heard)
        assert (accounts(clipping), clipping.cloud.source.kept.origin) == ({"two"}, "api")
