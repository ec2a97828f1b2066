"""Sending to Alertmanagers outside: addresses, relabelling, batches, bounds, and a real one."""

import asyncio
import time
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

NOW = int(time.time() * 1000)


def at(*targets: str, **more: object) -> AlertmanagerSettings:
    return AlertmanagerSettings([AlertmanagerGroup(targets, {"zone": "x"})], **more)


def client():
    telemetry = ClientTelemetry(Telemetry())
    return AlertmanagerClient(SystemClock(), telemetry, logger("notify")), telemetry


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
        own, telemetry = client()
        own.apply([at(hook.url[7:-5])], tmp_path)
        task = asyncio.create_task(own.run())
        own.send([Alert(Labels.of(alertname="a", n=f"{n:04d}"), Labels(), NOW, NOW + 1000) for n in range(600)])
        await hook.wait_for(3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await own.stop()
    assert hook.paths == ["/api/v2/alerts"] * 3
    assert [len(body) for body in hook.bodies] == [256, 256, 88]
    assert [alert["labels"]["n"] for body in hook.bodies for alert in body] == [f"{n:04d}" for n in range(600)]
    assert telemetry.sent.total() == 600
    assert telemetry.errors.total() == 0


async def test_absent_alertmanager_delays_nobody_and_drops_are_counted(tmp_path: Path):
    with webhook() as hook:
        own, telemetry = client()
        own.apply([at("127.0.0.1:1", hook.url[7:-5])], tmp_path)
        own.send([Alert(Labels.of(alertname="a", n=str(n)), Labels(), NOW, NOW) for n in range(QUEUE_ALERTS_MAX + 5)])
        assert telemetry.dropped.value("queue_full") == 10
        task = asyncio.create_task(own.run())
        await hook.wait_for(40)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await own.stop()
    assert telemetry.errors.value("http://127.0.0.1:1/api/v2/alerts") == QUEUE_ALERTS_MAX or telemetry.dropped.value(
        "stopped"
    )


async def test_alerts_that_wait_are_sent_when_stopping(tmp_path: Path):
    with webhook() as hook:
        own, _ = client()
        own.apply([at(hook.url[7:-5])], tmp_path)
        own.send([Alert(Labels.of(alertname="last"), Labels(), NOW, NOW)])
        await own.stop()
        assert hook.bodies[0][0]["labels"] == {"alertname": "last"}


@pytest.mark.peer
async def test_real_alertmanager_hears_beginning_and_end(tmp_path: Path):
    routes = "route: {receiver: none}\nreceivers: [{name: none}]\n"
    with alertmanager(tmp_path / "am", routes) as address:
        own, telemetry = client()
        own.apply([at(address)], tmp_path)
        task = asyncio.create_task(own.run())
        labels = Labels({"alertname": "x", "instance": "a", "odd label": 'é"\n'})
        url = f"http://{address}/api/v2/alerts"

        async def known(count):
            async with asyncio.timeout(10):
                while True:
                    found = await asyncio.to_thread(ask, url)
                    if len(found) == count:
                        return found
                    await asyncio.sleep(0.05)

        own.send([Alert(labels, Labels({"summary": "s"}), NOW, NOW + 600_000, "http://g.example/x")])
        [found] = await known(1)
        assert found["labels"] == dict(labels.pairs)
        assert found["annotations"] == {"summary": "s"}
        assert found["generatorURL"] == "http://g.example/x"
        assert found["fingerprint"] == f"{Alert(labels).fingerprint:016x}"
        own.send([Alert(labels, Labels(), NOW, int(time.time() * 1000) - 1)])
        await known(0)
        assert telemetry.errors.total() == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await own.stop()
