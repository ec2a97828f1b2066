"""A rule fires in nunchi: a real Alertmanager hears of it, a webhook gets it from nunchi's own notifier; both hear the end."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.systems import http_endpoint, nunchi_server
from tests.peers import find_peer, free_port, running

WAIT_SECONDS_MAX = 40

RULES = """
groups:
  - name: temperature
    interval: 500ms
    rules:
      - record: temperature:max
        expr: max by (room) (temperature)
      - alert: TooHot
        expr: temperature:max > 30
        for: 1s
        labels: {severity: page}
        annotations:
          summary: "{{ $labels.room }} has {{ $value }} degrees"
"""

CONFIGURATION = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, external_labels: {{site: here}}}}
rule_files: [rules.yml]
alerting:
  alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]
scrape_configs:
  - job_name: rooms
    static_configs: [{{targets: ["{target}"]}}]
"""

ROUTES = """
route: {{receiver: hook, group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: hook
    webhook_configs: [{{url: "http://{hook}/alert", send_resolved: true}}]
"""

ALERTMANAGER_ROUTES = "route: {receiver: none}\nreceivers: [{name: none}]\n"


class Room:
    """A target with one thermometer, and a webhook that remembers what it was sent."""

    def __init__(self) -> None:
        self.degrees = 40.0
        self.received: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def exposition(self, _request: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, str, bytes]:
        return 200, "text/plain; version=0.0.4", f'temperature{{room="kitchen"}} {self.degrees}\n'.encode()

    def hook(self, _request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, bytes]:
        with self.lock:
            self.received.append(json.loads(body))
        return 200, "text/plain", b"ok"


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.peer
def test_a_firing_rule_reaches_alertmanager_and_webhook_and_resolves_in_both(tmp_path: Path):
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "alertmanager.yml").write_text(ALERTMANAGER_ROUTES)
    alertmanager = [
        find_peer("prometheus-alertmanager", "alertmanager"),
        f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    room = Room()

    def alerts_outside() -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://{address}/api/v2/alerts", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    with (
        running(alertmanager, f"http://{address}/-/ready", tmp_path / "alertmanager.log"),
        http_endpoint(room.exposition) as target,
        http_endpoint(room.hook) as hook,
    ):
        folder = tmp_path / "nunchi"
        folder.mkdir()
        (folder / "rules.yml").write_text(RULES)
        (folder / "routes.yml").write_text(ROUTES.format(hook=hook))
        configuration = CONFIGURATION.format(alertmanager=address, target=target)
        with nunchi_server(folder, configuration, f"--alertmanager.config.file={folder / 'routes.yml'}") as nunchi:
            wait_until(lambda: bool(room.received) and bool(alerts_outside()), "the alert never arrived")
            alert = alerts_outside()[0]
            assert alert["labels"] == {"alertname": "TooHot", "room": "kitchen", "severity": "page", "site": "here"}
            assert alert["annotations"] == {"summary": "kitchen has 40 degrees"}
            first = room.received[0]
            assert (first["version"], first["status"], first["receiver"]) == ("4", "firing", "hook")
            assert first["groupKey"] == '{}:{alertname="TooHot"}'
            assert first["commonAnnotations"] == {"summary": "kitchen has 40 degrees"}
            assert first["alerts"][0]["labels"]["room"] == "kitchen"
            [shown] = nunchi.ask("alerts")["alerts"]
            assert (shown["state"], shown["value"]) == ("firing", "4e+01")

            room.degrees = 20.0
            wait_until(lambda: room.received[-1]["status"] == "resolved", "the webhook never heard the end")
            wait_until(lambda: not alerts_outside(), "Alertmanager never heard the end")
            assert room.received[-1]["alerts"][0]["endsAt"] > room.received[-1]["alerts"][0]["startsAt"]
            assert nunchi.ask("alerts")["alerts"] == []
            sent = [received["status"] for received in room.received]
            assert sent == ["firing", "resolved"], "each state is notified once"
