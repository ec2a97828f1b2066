import asyncio
import io
import threading
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from nunchi.intake.mechanisms import UnsupportedSettingsError
from nunchi.intake.scrape import loop
from nunchi.intake.scrape.reading import LARGE_BYTES_MIN
from nunchi.intake.scrape.scrape_manager import ScrapeManager, ScrapeSettings, spread_seed
from nunchi.intake.scrape.series import Scraped, TargetSeries
from nunchi.intake.scrape.settings import GlobalSettings, JobSettings
from nunchi.intake.scrape.target import Health
from nunchi.kit.errors import WorldError
from nunchi.kit.logs import configure, logger
from nunchi.kit.settings import load
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.exposition_format import ExpositionFormat

STALE = "stale"


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As much of a configuration file as scraping needs."""

    common: GlobalSettings = msgspec.field(default=GlobalSettings(), name="global")
    scrape_configs: tuple[JobSettings, ...] = ()


def settings(text: str, folder: Path = Path()) -> ScrapeSettings:
    root = load(Root, text, "test.yml")
    return ScrapeSettings(root.common, root.scrape_configs, folder)


def job(*addresses: str, name: str = "j", interval: str = "10s", more: str = "") -> str:
    targets = ", ".join(f'"{address}"' for address in addresses)
    return f"""
global: {{scrape_interval: {interval}, scrape_timeout: 1s}}
scrape_configs:
- job_name: {name}
  static_configs: [{{targets: [{targets}]}}]
  {more}
"""


@pytest.fixture
async def manager(door, clock, telemetry: Telemetry) -> AsyncIterator[ScrapeManager]:
    made = ScrapeManager(door, clock, telemetry, logger("test"), host_name="host")
    await made.start()
    yield made
    await made.stop()


class Course:
    """Lets a scraped target live through time: one scrape an interval, real sockets in between."""

    def __init__(self, manager: ScrapeManager, clock, wait_until, telemetry: Telemetry) -> None:
        self.manager, self.clock, self.wait_until = manager, clock, wait_until
        self.instruments = {instrument.name: instrument for instrument in telemetry.instruments()}

    def scrapes(self) -> float:
        return self.instruments["nunchi_scrapes_total"].total()

    async def run(self, intervals: int = 1, seconds: float = 10.0, scrapes: int = 1) -> None:
        for _ in range(intervals):
            before = self.scrapes()
            await self.clock.advance(seconds)
            await self.wait_until(lambda before=before: self.scrapes() >= before + scrapes)


@pytest.fixture
def course(manager, clock, wait_until, telemetry) -> Course:
    return Course(manager, clock, wait_until, telemetry)


async def test_a_target_is_scraped_once_an_interval_at_its_moments(manager, course, store, target) -> None:
    manager.apply(settings(job(target.address)))
    await asyncio.sleep(0)
    assert manager.targets()[0].health is Health.UNKNOWN
    await course.run(5)
    (found,) = store.samples("a").values()
    times = [time for time, _ in found]
    assert [later - earlier for earlier, later in pairwise(times)] == [10_000] * 4
    (status,) = manager.targets()
    assert (status.health, status.last_error, status.samples) == (Health.UP, "", 1)
    assert status.last_scrape * 1000 == times[-1]
    assert status.scrape_url == f"http://{target.address}/metrics"
    assert store.values("up") == [1.0] * 5


async def test_a_failing_target_is_down_with_a_reason_and_its_series_end(manager, course, store, target) -> None:
    manager.apply(settings(job(target.address)))
    await course.run(1)

    async def fail(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")

    target.behave = fail
    await course.run(2)
    target.behave = target.serve_body
    await course.run(1)
    assert store.values("up") == [1, 0, 0, 1]
    assert store.values("a") == [1, STALE, 1]
    assert store.values("scrape_samples_scraped") == [1, 0, 0, 1]
    assert manager.targets()[0].last_error == ""


async def test_the_log_hears_when_a_target_goes_down_and_comes_back(manager, course, target) -> None:
    stream = io.StringIO()
    configure("info", "logfmt", stream)
    manager.apply(settings(job(target.address)))
    await course.run(1)
    target.body = b"garbage {"
    await course.run(3)
    target.body = b"a 1\n"
    await course.run(2)
    configure("error", "logfmt")
    down, up = stream.getvalue().splitlines()
    assert 'msg="target is down" job=j' in down
    assert "line 1" in down
    assert 'msg="target is up again" job=j' in up


async def test_a_vanished_target_is_marked_after_two_intervals_and_a_bit(manager, course, store, target, clock) -> None:
    manager.apply(settings(job(target.address)))
    await course.run(2)
    last_ms = round(manager.targets()[0].last_scrape * 1000)
    manager.apply(settings("scrape_configs: []"))
    assert manager.targets() == []
    await clock.advance(10.9)
    assert store.values("a") == [1, 1]
    await clock.advance(11.0)
    (found,) = store.samples("a").values()
    assert found[-1] == (last_ms + 10_000, STALE)
    assert store.values("up") == [1, 1, STALE]


async def test_a_target_that_comes_back_in_time_is_as_if_it_had_stayed(manager, course, store, target, clock) -> None:
    manager.apply(settings(job(target.address)))
    await course.run(2)
    manager.apply(settings(job("127.0.0.1:1", target.address).replace(f', "{target.address}"', "")))
    await clock.advance(5.0)
    manager.apply(settings(job(target.address)))
    await course.run(4)
    assert STALE not in store.values("a")


async def test_stopping_leaves_no_markers(manager, course, store, target, clock) -> None:
    manager.apply(settings(job(target.address)))
    await course.run(2)
    await manager.stop()
    await clock.advance(100.0)
    assert store.values("a") == [1, 1]


async def test_applying_the_same_settings_keeps_loops_and_connections(manager, course, store, target) -> None:
    manager.apply(settings(job(target.address)))
    await course.run(1)
    loop = manager.find_loop("j", manager.targets()[0].labels)
    manager.apply(settings(job(target.address, "127.0.0.1:1")))
    await course.run(2, scrapes=2)
    assert manager.find_loop("j", loop.target.labels) is loop
    assert target.connections == 1
    found = next(values for series, values in store.samples("scrape_series_added").items() if target.address in series)
    assert [value for _, value in found] == [1, 0, 0]


async def test_other_settings_of_a_job_keep_its_series_known(manager, course, store, target) -> None:
    target.body = b"a 1\nb 1\n"
    manager.apply(settings(job(target.address)))
    await course.run(1)
    rule = "metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]"
    manager.apply(settings(job(target.address, more=rule)))
    await course.run(2)
    assert store.values("a") == [1, 1, 1]
    assert store.values("b") == [1, STALE]


async def test_another_interval_takes_effect_without_a_gap(manager, course, store, target) -> None:
    manager.apply(settings(job(target.address)))
    await course.run(2)
    manager.apply(settings(job(target.address, interval="5s")))
    await course.run(4, seconds=5.0)
    assert len(store.values("a")) == 6
    assert STALE not in store.values("a")


async def test_extra_series_are_reported_when_asked_for(manager, course, store, target) -> None:
    manager.apply(settings(job(target.address, more="extra_scrape_metrics: true\n  sample_limit: 7")))
    await course.run(1)
    assert store.values("scrape_timeout_seconds") == [1]
    assert store.values("scrape_sample_limit") == [7]
    assert store.values("scrape_body_size_bytes") == [4]


async def test_a_body_beyond_its_limit_reports_minus_one(manager, course, store, target) -> None:
    manager.apply(settings(job(target.address, more="extra_scrape_metrics: true\n  body_size_limit: 4B")))
    await course.run(1)
    assert store.values("scrape_body_size_bytes") == [-1]
    assert store.values("up") == [0]


async def test_a_large_body_is_read_aside_and_other_settings_wait_for_its_end(
    manager, course, store, target, clock, wait_until, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end = threading.Event(), threading.Event()

    class SlowSeries(TargetSeries):
        def read(self, body: bytes, exposition_format: ExpositionFormat) -> Scraped:
            began.set()
            assert may_end.wait(10), "the event loop waits for the reading of one target"
            return super().read(body, exposition_format)

    monkeypatch.setattr(loop, "TargetSeries", SlowSeries)
    target.body = b"".join(b'a{i="%06d"} 1\n' % number for number in range(LARGE_BYTES_MIN // 10))
    manager.apply(settings(job(target.address)))
    await clock.advance(10)
    await wait_until(began.is_set)
    manager.apply(settings(job(target.address, more="sample_limit: 1000000")))
    target.body = b"b 2\n"
    may_end.set()
    [reading] = manager.targets()
    renewed = manager.find_loop("j", reading.labels)
    await wait_until(lambda: renewed.series.rules.samples_max == 1_000_000)
    await course.run(2)
    assert store.values("b") == [2, 2]
    assert store.values("up") == [1, 1]


async def test_beyond_the_target_limit_nothing_of_the_job_is_scraped(manager, course, store, target) -> None:
    manager.apply(settings(job(target.address, "127.0.0.1:1", more="target_limit: 1")))
    await course.run(1, scrapes=2)
    assert target.requests == []
    errors = {status.last_error for status in manager.targets()}
    assert errors == {"target_limit exceeded (number of targets: 2, limit: 1)"}


async def test_equal_targets_are_scraped_once(manager, course, target) -> None:
    manager.apply(settings(job(target.address, target.address)))
    await asyncio.sleep(0)
    assert len(manager.targets()) == 1


async def test_what_relabelling_drops_is_shown_with_the_rule(manager) -> None:
    rules = "relabel_configs: [{target_label: x, replacement: y}, {source_labels: [__address__], regex: 'b.*', action: drop}]"
    manager.apply(settings(job("a:1", "b:1", "c:x", more=rules)))
    await asyncio.sleep(0)
    assert [status.scrape_url for status in manager.targets()] == ["http://a:1/metrics"]
    dropped = {one.discovered_labels["__address__"]: (one.rule, one.error) for one in manager.dropped_targets()}
    assert dropped["b:1"] == (1, "")
    assert "not a valid address" in dropped["c:x"][1]
    assert manager.dropped_counts() == {"j": 2}


async def test_what_is_not_supported_is_refused_by_name_and_nothing_changes(manager, target) -> None:
    manager.apply(settings(job(target.address)))
    await asyncio.sleep(0)
    with pytest.raises(UnsupportedSettingsError, match="dns_sd_configs is understood but not run"):
        manager.apply(settings(job(target.address, name="other", more="dns_sd_configs: [{names: [a]}]")))
    assert [status.scrape_pool for status in manager.targets()] == ["j"]


async def test_a_store_that_fails_is_this_scrapes_error_and_the_next_one_comes(manager, course, store, target) -> None:
    manager.apply(settings(job(target.address)))
    real = store.publish

    def full(*_) -> None:
        raise WorldError("disk full")

    store.publish = full
    await course.run(1)
    assert manager.targets()[0].last_error == "not stored: disk full"
    store.publish = real
    await course.run(1)
    assert store.values("a") == [1]


async def test_a_global_url_replaces_the_local_host(door, clock, telemetry, target) -> None:
    manager = ScrapeManager(door, clock, telemetry, logger("test"), host_name="h", external_host="monitor.example")
    manager.apply(settings(job("localhost:9100", "10.0.0.1:9100")))
    await asyncio.sleep(0)
    assert [status.global_url for status in manager.targets()] == [
        "http://10.0.0.1:9100/metrics",
        "http://monitor.example:9100/metrics",
    ]
    await manager.stop()


async def test_files_are_discovered_and_followed(manager, course, clock, tmp_path: Path, wait_until, target) -> None:
    listing = tmp_path / "targets" / "a.yml"
    listing.parent.mkdir()
    listing.write_text(f"- targets: ['{target.address}']\n  labels: {{team: red}}\n")
    text = "scrape_configs: [{job_name: f, file_sd_configs: [{files: ['targets/*.yml']}]}]"
    manager.apply(settings(text, tmp_path))
    await wait_until(lambda: len(manager.targets()) == 1)
    (status,) = manager.targets()
    assert status.labels["team"] == "red"
    assert status.mechanism == "file"
    assert status.discovered_labels["__meta_filepath"] == str(listing)
    listing.write_text("- targets: ['x:1', 'y:1']\n")
    await clock.advance(5.0)
    await wait_until(lambda: len(manager.targets()) == 2)
    listing.write_text("- targets: [")
    await clock.advance(5.0)
    await asyncio.sleep(0.05)  # the file is read in a thread; what is broken must change nothing
    assert len(manager.targets()) == 2
    (listing.parent / "b.yml").write_text("[]")
    listing.unlink()
    await clock.advance(5.0)
    await wait_until(lambda: manager.targets() == [])


def test_members_of_a_pair_scrape_at_different_moments() -> None:
    assert spread_seed("a", {"replica": "1"}) != spread_seed("a", {"replica": "2"})
    assert spread_seed("a", {}) != spread_seed("b", {})
    assert spread_seed("a", {"x": "1", "y": "2"}) == spread_seed("a", {"y": "2", "x": "1"})
