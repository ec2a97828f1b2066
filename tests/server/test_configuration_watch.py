"""The configuration, read again when its files change."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from nunchi.kit.logs import logger
from nunchi.kit.settings import SettingsError
from nunchi.server.configuration import ConfigurationLoader
from nunchi.server.configuration_watch import ConfigurationWatch
from nunchi.server.flags import ServerFlags
from nunchi.server.wiring import build_server
from nunchi.server.world import World
from nunchi.testing.clock import VirtualClock

RULES = "groups: [{name: g, rules: [{record: x, expr: up}]}]"


@pytest.fixture
def loader(tmp_path: Path) -> ConfigurationLoader:
    (tmp_path / "prometheus.yml").write_text("rule_files: ['rules/*.yml']\nscrape_config_files: [jobs.yml]")
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: a}\nreceivers: [{name: a}]")
    (tmp_path / "jobs.yml").write_text("scrape_configs: [{job_name: a}]")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "one.yml").write_text(RULES)
    made = ConfigurationLoader(tmp_path / "prometheus.yml", tmp_path / "alertmanager.yml", {})
    made.load()
    return made


@pytest.mark.parametrize("name", ["prometheus.yml", "alertmanager.yml", "jobs.yml", "rules/one.yml", "rules/two.yml"])
def test_every_file_of_a_configuration_counts(loader: ConfigurationLoader, tmp_path: Path, name: str):
    before = loader.digest()
    assert loader.digest() == before
    file = tmp_path / name
    text = file.read_text() if file.exists() else None
    file.write_text(f"{text or RULES}\n# more")
    assert loader.digest() != before
    file.unlink() if text is None else file.write_text(text)
    assert loader.digest() == before
    file.unlink(missing_ok=True)
    assert (loader.digest() == before) == (text is None)


def test_other_files_do_not_count(loader: ConfigurationLoader, tmp_path: Path):
    before = loader.digest()
    (tmp_path / "rules" / "one.txt").write_text("x")
    (tmp_path / "prometheus.yml").touch()
    assert loader.digest() == before


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for happens in a thread)
            await asyncio.sleep(0.001)


class Files:
    """What a watch looks at: a word that changes, and may be broken."""

    def __init__(self) -> None:
        self.word, self.is_broken, self.loaded = "a", False, []

    def digest(self) -> bytes:
        return self.word.encode()

    async def reload(self) -> None:
        self.loaded.append(self.word)
        if self.is_broken:
            raise SettingsError("prometheus.yml", None, "broken")


async def test_a_change_is_loaded_once_and_what_is_broken_not_again_before_the_next():
    files = Files()
    watch = ConfigurationWatch(files.digest, files.reload, 30.0, VirtualClock(0.0), logger("test"))
    await watch.start()
    await watch.look()
    assert files.loaded == []
    files.word, files.is_broken = "b", True
    for _ in range(3):
        await watch.look()
    assert files.loaded == ["b"]
    files.word, files.is_broken = "c", False
    await watch.look()
    assert files.loaded == ["b", "c"]


async def test_it_looks_once_an_interval():
    files, clock = Files(), VirtualClock(0.0)
    watch = ConfigurationWatch(files.digest, files.reload, 30.0, clock, logger("test"))
    await watch.start()
    task = asyncio.create_task(watch.run())
    files.word = "b"
    await clock.advance(29.0)
    assert files.loaded == []
    await clock.advance(1.0)
    await wait_until(lambda: files.loaded == ["b"])
    task.cancel()


@pytest.mark.parametrize(
    ("flags", "watches"),
    [
        ({}, False),
        ({"config_auto_reload": True}, True),
        ({"enable_feature": ("auto-reload-config",)}, True),
        ({"config_auto_reload_interval_ms": 1000}, False),
    ],
)
async def test_a_server_watches_where_it_is_asked_to(tmp_path: Path, loader: ConfigurationLoader, flags, watches: bool):
    server = build_server(ServerFlags(storage_tsdb_path=tmp_path, **flags), loader, World())
    assert ("configuration watch" in [part.name for part in server._parts.takers]) is watches


async def test_a_running_server_takes_up_what_changed(
    tmp_path: Path, loader: ConfigurationLoader, log_text: io.StringIO
):
    flags = ServerFlags(
        storage_tsdb_path=tmp_path / "data",
        web_listen_address="127.0.0.1:0",
        config_auto_reload=True,
        config_auto_reload_interval_ms=20,
    )
    server = build_server(flags, loader, World())
    await server.start()
    try:
        scrape = next(part for part in server._parts.takers if part.name == "scrape")
        (tmp_path / "new.yml").write_text("scrape_configs: [{job_name: b}]")
        (tmp_path / "new.yml").rename(tmp_path / "jobs.yml")
        await wait_until(lambda: scrape.dropped_counts().keys() == {"b"})
        (tmp_path / "new.yml").write_text("scrape_config: []")
        (tmp_path / "new.yml").rename(tmp_path / "prometheus.yml")
        await wait_until(lambda: "configuration not loaded, the earlier one stays" in log_text.getvalue())
        assert scrape.dropped_counts().keys() == {"b"}
    finally:
        await server.stop()
