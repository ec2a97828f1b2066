"""amtool, the command line of Alertmanager, works with a site as with its own server."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.peers import find_peer
from tests.web.conftest import Asker

from nunchi.kit.settings import load
from nunchi.notify.settings import NotifySettings

pytestmark = pytest.mark.peer

ROUTES = """
route: {receiver: hook, routes: [{matchers: [team="db"], receiver: db}]}
receivers: [{name: hook}, {name: db}]
"""
Tool = Callable[..., Coroutine[Any, Any, str]]


async def run(*words: str, code: int = 0) -> str:
    """The standard output of a program."""
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == code, errors.decode()
    return output.decode()


@pytest.fixture
async def amtool(asker: Asker) -> Tool:
    """amtool over a site; it is asked for JSON, and not to compare versions."""
    asker.site.notifier.apply(load(NotifySettings, ROUTES, "alertmanager.yml"), Path())
    program = find_peer("amtool")

    async def call(*words: str, code: int = 0, form: str = "json") -> str:
        return await run(
            program, f"--alertmanager.url={asker.site.url}", "--no-version-check", "-o", form, *words, code=code
        )

    return call


async def test_amtool_adds_and_queries_alerts(amtool: Tool):
    # amtool leaves the times to the server.
    await amtool("alert", "add", "alertname=Full", "team=db", "--annotation=summary=full")
    (alert,) = json.loads(await amtool("alert", "query", "team=db"))
    assert (alert["labels"], alert["receivers"]) == ({"alertname": "Full", "team": "db"}, [{"name": "db"}])
    assert json.loads(await amtool("alert", "query", "team=web")) == []
    assert "Full" in await amtool("alert", "query", form="simple")


async def test_amtool_adds_updates_and_expires_silences(amtool: Tool, asker: Asker):
    await amtool("alert", "add", "alertname=Full")
    begin, end = "2023-11-14T22:13:20Z", "2023-11-15T00:00:00Z"
    words = ("silence", "add", "alertname=~Fu.*", f"--start={begin}", f"--end={end}", "--author=ann", "--comment=known")
    identity = (await amtool(*words)).strip()
    (silence,) = asker.site.notifier.silences.all()
    assert (silence.id, silence.comment) == (identity, "known")
    (alert,) = json.loads(await amtool("alert", "query", "--silenced"))
    assert alert["status"]["silencedBy"] == [identity]
    await amtool("silence", "expire", identity)
    assert json.loads(await amtool("alert", "query"))[0]["status"]["state"] == "active"
    await amtool("silence", "expire", "00000000-0000-4000-8000-000000000000", code=1)


async def test_amtool_shows_configuration_and_routes(amtool: Tool):
    assert "receiver: hook" in await amtool("config", "show", form="simple")
    assert "db" in await amtool("config", "routes", "show", form="simple")
    assert (await amtool("config", "routes", "test", "team=db", form="simple")).strip() == "db"
    assert "disabled" in await amtool("cluster", "show", form="simple")
