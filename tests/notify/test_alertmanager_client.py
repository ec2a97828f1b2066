"""Sending to Alertmanagers outside: addresses, relabelling, batches, bounds, and a real one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.notify.peers import alertmanager, ask, webhook

from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.model.relabel import RelabelRule
from nunchi.notify.alert_sender import AlertSender
from nunchi.notify.alertmanager_client import (
    QUEUE_ALERTS_MAX,
    AlertmanagerClient,
    ClientTelemetry,
    alertmanager_urls,
)
from nunchi.notify.alertmanager_settings import AlertmanagerGroup, AlertmanagerSettings


def now_ms() -> int:
    """The time of this test, not of the collection of all tests: what ends ten minutes later has not ended yet."""
    return int(time.time() * 1000)


def at(*targets: str, **more: object) -> AlertmanagerSettings:
    return AlertmanagerSettings([AlertmanagerGroup(targets, {"zone": "x"})], **more)


@contextlib.asynccontextmanager
async def client(folder: Path, *targets: str) -> AsyncIterator[tuple[AlertmanagerClient, ClientTelemetry]]:
    """A client of these, not running; stopped at the end, whatever happens."""
    telemetry = ClientTelemetry(Telemetry())
    own = AlertmanagerClient(SystemClock(), telemetry, logger("notify"))
    own.apply([at(*targets)], folder)
    try:
        yield own, telemetry
    finally:
        await own.stop()


@contextlib.asynccontextmanager
async def running(own: AlertmanagerClient) -> AsyncIterator[None]:
    """It sends until the block ends."""
    task = asyncio.create_task(own.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("settings", "urls"),
    [
        (at("a:9093", "b:9093"), ["http://a:9093/api/v2/alerts", "http://b:9093/api/v2/alerts"]),
        (at("a", scheme="https", path_prefix="/am/"), ["https://a/am/api/v2/alerts"]),
        (
            at(
                "a",
                "b",
                relabel_configs=[
                    RelabelRule(source_labels=("__address__",), regex="a", action="drop"),
                    RelabelRule(
                        source_labels=("zone",), target_label="__alerts_path__", replacement="/$1/api/v2/alerts"
                    ),
                ],
            ),
            ["http://b/x/api/v2/alerts"],
        ),
    ],
)
def test_addresses(settings, urls):
    assert alertmanager_urls(settings) == urls


class Keeper:
    def __init__(self):
        self.alerts = []

    def send(self, alerts):
        self.alerts += alerts


def test_sender_adds_own_labels_and_relabels_for_everybody():
    keeper = Keeper()
    sender = AlertSender([keeper])
    rules = [
        RelabelRule(source_labels=("team",), regex="secret", action="drop"),
        RelabelRule(regex="pod", action="labeldrop"),
    ]
    sender.apply(Labels.of(site="here", team="ours"), rules)
    sender.send([Alert(Labels.of(alertname="a", pod="x")), Alert(Labels.of(alertname="b", team="secret"))])
    assert [alert.labels for alert in keeper.alerts] == [Labels.of(alertname="a", site="here", team="ours")]


async def test_batches_are_bounded_and_keep_their_order(tmp_path: Path):
    with webhook() as hook:
        async with client(tmp_path, hook.url[7:-5]) as (own, telemetry), running(own):
            now = now_ms()
            own.send([Alert(Labels.of(alertname="a", n=f"{n:04d}"), Labels(), now, now + 1000) for n in range(600)])
            await hook.wait_for(3)
    assert hook.paths == ["/api/v2/alerts"] * 3
    assert [len(body) for body in hook.bodies] == [256, 256, 88]
    assert [alert["labels"]["n"] for body in hook.bodies for alert in body] == [f"{n:04d}" for n in range(600)]
    assert telemetry.sent.total() == 600
    assert telemetry.errors.total() == 0


async def test_absent_alertmanager_delays_nobody_and_drops_are_counted(tmp_path: Path):
    with webhook() as hook:
        async with client(tmp_path, "127.0.0.1:1", hook.url[7:-5]) as (own, telemetry):
            now = now_ms()
            own.send(
                [Alert(Labels.of(alertname="a", n=str(n)), Labels(), now, now) for n in range(QUEUE_ALERTS_MAX + 5)]
            )
            assert telemetry.dropped.value("queue_full") == 10
            async with running(own):
                await hook.wait_for(40)
    assert telemetry.errors.value("http://127.0.0.1:1/api/v2/alerts") == QUEUE_ALERTS_MAX or telemetry.dropped.value(
        "stopped"
    )


async def test_alerts_that_wait_are_sent_when_stopping(tmp_path: Path):
    with webhook() as hook:
        async with client(tmp_path, hook.url[7:-5]) as (own, _):
            own.send([Alert(Labels.of(alertname="last"), Labels(), now_ms(), now_ms())])
        assert hook.bodies[0][0]["labels"] == {"alertname": "last"}


async def known(address: str, count: int) -> list[dict[str, object]]:
    """What an Alertmanager knows, once it is so many alerts."""
    async with asyncio.timeout(30):
        while True:
            found = await asyncio.to_thread(ask, f"http://{address}/api/v2/alerts")
            if len(found) == count:
                return found
            await asyncio.sleep(0.05)


@pytest.mark.peer
async def test_real_alertmanager_hears_beginning_and_end(tmp_path: Path):
    routes = "route: {receiver: none}\nreceivers: [{name: none}]\n"
    labels, now = Labels({"alertname": "x", "instance": "a", "odd label": 'é"\n'}), now_ms()
    with alertmanager(tmp_path / "am", routes) as address:
        async with client(tmp_path, address) as (own, telemetry), running(own):
            own.send([Alert(labels, Labels({"summary": "s"}), now, now + 600_000, "http://g.example/x")])
            [found] = await known(address, 1)
            assert found["labels"] == dict(labels.pairs)
            assert found["annotations"] == {"summary": "s"}
            assert found["generatorURL"] == "http://g.example/x"
            assert found["fingerprint"] == f"{Alert(labels).fingerprint:016x}"
            own.send([Alert(labels, Labels(), now, now_ms() - 1)])
            await known(address, 0)
            assert telemetry.errors.total() == 0
