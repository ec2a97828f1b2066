"""Sending to Alertmanagers outside: addresses, relabelling, batches, bounds, and a real one."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.notify.peers import alertmanager, ask, webhook

from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.settings import SettingsError, load
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
from nunchi.notify.alertmanager_settings import AlertingSettings, AlertmanagerSettings
from nunchi.notify.errors import NotifySettingsError

NOW = int(time.time() * 1000)

RELABELLED = """
static_configs: [{targets: [a, b], labels: {zone: x}}]
relabel_configs:
  - {source_labels: [__address__], regex: a, action: drop}
  - {source_labels: [zone], target_label: __alerts_path__, replacement: /$1/api/v2/alerts}
"""


def settings_of(text: str) -> AlertmanagerSettings:
    return load(AlertmanagerSettings, text, "prometheus.yml")


def client():
    telemetry = ClientTelemetry(Telemetry())
    return AlertmanagerClient(SystemClock(), telemetry, logger("notify")), telemetry


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        (
            "static_configs: [{targets: ['a:9093', 'b:9093']}]",
            ["http://a:9093/api/v2/alerts", "http://b:9093/api/v2/alerts"],
        ),
        ("{scheme: https, path_prefix: /am/, static_configs: [{targets: ['a']}]}", ["https://a/am/api/v2/alerts"]),
        (
            RELABELLED,
            ["http://b/x/api/v2/alerts"],
        ),
    ],
)
def test_addresses(text, urls):
    assert alertmanager_urls(settings_of(text)) == urls


def test_what_is_not_there_is_refused():
    for text in ("api_version: v1", "static_configs: [{targets: ['http://a/']}]", "scheme: ftp", "timeot: 5s"):
        with pytest.raises(SettingsError):
            settings_of(text)
    with pytest.raises(NotifySettingsError, match="dns_sd_configs not available"):
        client()[0].apply([settings_of("dns_sd_configs: [{names: [x]}]")], Path())


def test_whole_block_is_read():
    block = load(
        AlertingSettings, "alertmanagers: [{static_configs: [{targets: [a]}], basic_auth: {username: u}}]", "p.yml"
    )
    assert block.alertmanagers[0].basic_auth.username == "u"


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
        own.apply([settings_of(f"static_configs: [{{targets: ['{hook.url[7:-5]}']}}]")], tmp_path)
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
        targets = f"static_configs: [{{targets: ['127.0.0.1:1', '{hook.url[7:-5]}']}}]"
        own.apply([settings_of(targets)], tmp_path)
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
        own.apply([settings_of(f"static_configs: [{{targets: ['{hook.url[7:-5]}']}}]")], tmp_path)
        own.send([Alert(Labels.of(alertname="last"), Labels(), NOW, NOW)])
        await own.stop()
        assert hook.bodies[0][0]["labels"] == {"alertname": "last"}


@pytest.mark.peer
async def test_real_alertmanager_hears_beginning_and_end(tmp_path: Path):
    routes = "route: {receiver: none}\nreceivers: [{name: none}]\n"
    with alertmanager(tmp_path / "am", routes) as address:
        own, telemetry = client()
        own.apply([settings_of(f"static_configs: [{{targets: ['{address}']}}]")], tmp_path)
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
