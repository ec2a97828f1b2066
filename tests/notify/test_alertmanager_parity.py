"""The same alerts and the same alertmanager.yml, given to a real Alertmanager and to nunchi's own notifier."""

import asyncio
import subprocess
import time
from pathlib import Path

import pytest
from tests.notify.peers import EXTERNAL_URL, alertmanager, ask, notifier, webhook
from tests.peers import find_peer

from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.notify.alertmanager_client import encode_alerts
from nunchi.notify.templates import TemplateSet, receiver_functions
from nunchi.testing.clock import VirtualClock

SETTINGS = """
route:
  receiver: default
  group_by: [alertname, job]
  group_wait: 300ms
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - matchers: ['severity="page"', 'team=~"a|b"']
      receiver: pages
      group_by: ['...']
    - match_re: {{team: "c.*"}}
      match: {{severity: low}}
      receiver: "odd.name*"
      group_by: [severity, missing]
      continue: true
    - matchers: ['"odd label"!=""']
      group_by: [team]
      receiver: few
inhibit_rules:
  - source_matchers: [alertname="Power"]
    target_matchers: [alertname="Slow"]
    equal: [rack]
receivers:
  - name: default
    webhook_configs: [{{url: "{hook}/default"}}]
  - name: pages
    webhook_configs: [{{url: "{hook}/pages"}}, {{url: "{hook}/pages2", send_resolved: false}}]
  - name: "odd.name*"
    webhook_configs: [{{url: "{hook}/odd"}}]
  - name: few
    webhook_configs: [{{url: "{hook}/few", max_alerts: 1}}]
"""


def alerts(now_ms: int) -> list[Alert]:
    def alert(annotations: dict[str, str], **labels: str) -> Alert:
        return Alert(
            Labels({name.replace("_blank_", " "): value for name, value in labels.items()}),
            Labels(annotations),
            now_ms,
            now_ms + 3_600_000,
            f"http://prometheus.example/graph?g0.expr={labels['alertname']}&g0.tab=1",
        )

    same = {"summary": 'it <is> "down" & out', "runbook": "x"}
    return [
        alert({**same, "n": "1"}, alertname="Down", job="node", instance="b:9100", severity="warn"),
        alert({**same, "n": "2"}, alertname="Down", job="node", instance="a:9100", severity="warn"),
        alert(same, alertname="Down", job="web", instance="é", severity="warn"),
        alert(same, alertname="Full", severity="warn"),
        alert(same, alertname="Hot", severity="page", team="a", instance="1"),
        alert(same, alertname="Hot", severity="page", team="b", instance="2"),
        alert(same, alertname="Odd", severity="low", team="c1"),
        alert(same, alertname="Odd", severity="low", team="c2", odd_blank_label="x\ny"),
        alert(same, alertname="Odder", team="c2", odd_blank_label="z", job="j"),
        alert(same, alertname="Power", rack="1"),
        alert(same, alertname="Slow", rack="1"),
        alert(same, alertname="Slow", rack="2"),
    ]


def comparable(paths, bodies):
    """Notifications in an order of their own, without what only nunchi says."""
    found = []
    for path, body in zip(paths, bodies, strict=True):
        found.append((path, {name: value for name, value in body.items() if name != "notification_reason"}))
    return sorted(found, key=lambda item: (item[0], item[1]["groupKey"], item[1]["status"]))


@pytest.mark.peer
async def test_grouping_keys_and_payloads_are_the_same(tmp_path: Path):
    with webhook() as theirs, webhook() as ours:
        with alertmanager(tmp_path / "am", SETTINGS.format(hook=theirs.url)) as address:
            async with notifier(SETTINGS.format(hook=ours.url), tmp_path) as own:
                given = alerts(int(time.time() * 1000))
                await asyncio.to_thread(ask, f"http://{address}/api/v2/alerts", encode_alerts(given))
                own.send(given)
                expected = 11
                await theirs.wait_for(expected)
                await ours.wait_for(expected)
                ended_at = int(time.time() * 1000)
                ended = [Alert(one.labels, one.annotations, one.starts_at_ms, ended_at) for one in given[:2]]
                await asyncio.to_thread(ask, f"http://{address}/api/v2/alerts", encode_alerts(ended))
                own.send(ended)
                await theirs.wait_for(expected + 1)
                await ours.wait_for(expected + 1)
                await asyncio.sleep(1.2)  # nothing more may come from either side within another group interval
        left, right = comparable(theirs.paths, theirs.bodies), comparable(ours.paths, ours.bodies)
        assert [item[0] for item in right] == [item[0] for item in left]
        for (_, mine), (_, them) in zip(right, left, strict=True):
            assert mine == them
        assert right[0][1]["externalURL"] == EXTERNAL_URL
        assert ours.headers[0]["content-type"] == theirs.headers[0]["content-type"]


TEMPLATES = [
    "{{ .Receiver }} {{ .Status }} {{ len .Alerts }} {{ .ExternalURL }}",
    "{{ range .Alerts }}{{ .Status }} {{ .Labels.alertname }} {{ .Labels.missing }}|{{ .Annotations }}{{ end }}",
    "{{ .CommonLabels.SortedPairs }} {{ .CommonLabels.SortedPairs.Names }} {{ .CommonLabels.SortedPairs.Values }}",
    '{{ .CommonLabels.Names | join "," }} {{ .CommonLabels.Values | join ";" }}',
    '{{ (.CommonLabels.Remove (stringSlice "alertname" "x")).Names }} {{ .GroupLabels }} {{ .CommonLabels }}',
    "{{ range .Alerts.Firing }}{{ .StartsAt.Unix }} {{ .EndsAt.IsZero }}{{ end }}{{ len .Alerts.Resolved }}",
    '{{ range .Alerts }}{{ .StartsAt.Format "2006-01-02 15:04:05 MST Mon Jan _2" }} {{ .Fingerprint }}{{ end }}',
    '{{ range .Alerts }}{{ date "15:04 Monday" (tz "Europe/Paris" .StartsAt) }} {{ .StartsAt }}{{ end }}',
    '{{ toUpper "abc" }} {{ toLower "ABC" }} {{ title "hello wORLD foo_bar it\'s x-y" }} {{ trimSpace "  x " }}',
    '{{ match "^a.c$" "abc" }} {{ reReplaceAll "(.*)b(.*)" "$2-$1" "abc" }} {{ safeHtml "<b>" }}',
    "{{ humanizeDuration 3725.5 }} {{ humanizeDuration 0.0125 }} {{ humanizeDuration 90061 }}",
    '{{ printf "%q %5.1f %-4d|" "x" 3.14159 7 }} {{ len "é" }} {{ eq 1 1 2 }} {{ html "<a>" }} {{ urlquery "a b" }}',
    '{{ define "x" }}<{{ .Status }}>{{ end }}{{ template "x" . }}{{ with .GroupLabels }}{{ .alertname }}{{ end }}',
    "{{ .Alerts }}",
    "{{ range $i, $a := .Alerts }}{{ $i }}{{ $a.GeneratorURL }}{{ else }}none{{ end }}",
]
DATA = """{"receiver": "team.x", "status": "firing", "alerts": [
 {"status": "firing", "labels": {"alertname": "Down", "job": "node", "zone": "b"}, "annotations": {"summary": "s"},
  "startsAt": "2026-03-04T05:06:07.089Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://g/?a=b&c",
  "fingerprint": "b815b7769adcd53a"}],
 "groupLabels": {"alertname": "Down"}, "commonLabels": {"alertname": "Down", "job": "node", "zone": "b"},
 "commonAnnotations": {"summary": "s"}, "externalURL": "http://am.example"}"""


def our_data():
    from nunchi.notify.notification import Notification
    from nunchi.notify.notification_log import NotificationCause
    from nunchi.notify.template_data import AlertData, AlertList, NotificationData

    labels = Labels.of(alertname="Down", job="node", zone="b")
    starts_at_ms = 1_772_600_767_089
    alert = Alert(labels, Labels({"summary": "s"}), starts_at_ms, 0, "http://g/?a=b&c")
    notification = Notification(
        "team", "{}:{}", labels.keep("alertname"), (alert,), NotificationCause.FIRST, starts_at_ms, "http://am.example"
    )
    data = NotificationData.of(notification)
    one = AlertData(
        **{**{name: getattr(data.alerts[0], name) for name in AlertData.__slots__}, "fingerprint": "b815b7769adcd53a"}
    )
    return NotificationData(
        "team.x", data.status, AlertList([one]), data.group_labels, data.common_labels, data.common_annotations,
        data.external_url, data.cause,
    )  # fmt: skip


@pytest.mark.peer
@pytest.mark.parametrize("text", TEMPLATES)
def test_templates_render_as_amtool_renders_them(tmp_path: Path, text: str):
    (tmp_path / "data.json").write_text(DATA)
    (tmp_path / "none.tmpl").write_text("")
    command = [find_peer("amtool"), "template", "render", f"--template.glob={tmp_path / 'none.tmpl'}"]
    command += [f"--template.text={text}", f"--template.data={tmp_path / 'data.json'}"]
    theirs = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert theirs.returncode == 0, theirs.stderr
    ours = TemplateSet(receiver_functions(VirtualClock()), {}).render(text, our_data())
    assert ours == theirs.stdout.removesuffix("\n")


@pytest.mark.peer
async def test_webhook_is_tried_again_after_server_errors_and_not_after_client_errors(tmp_path: Path):
    settings = (
        "route: {{receiver: x, group_wait: 10ms, group_interval: 60s}}\n"
        "receivers: [{{name: x, webhook_configs: [{{url: '{url}'}}]}}]"
    )
    now_ms = int(time.time() * 1000)
    alert = Alert(Labels.of(alertname="x"), Labels(), now_ms, now_ms + 60_000)
    with webhook() as hook:
        hook.answers = [503, 429]
        async with notifier(settings.format(url=hook.url), tmp_path) as own:
            own.send([alert])
            await hook.wait_for(1)
        assert len(hook.paths) == 3
    with webhook() as hook:
        hook.answers = [400]
        async with notifier(settings.format(url=hook.url), tmp_path) as own:
            own.send([alert])
            async with asyncio.timeout(10):
                while True:
                    if hook.paths:
                        break
                    await asyncio.sleep(0.02)
            await asyncio.sleep(1.5)  # longer than the first retry would take
        assert len(hook.paths) == 1


async def test_url_file_is_read_at_every_sending(tmp_path: Path):
    settings = (
        "route: {receiver: x, group_wait: 10ms, group_interval: 500ms}\n"
        "receivers: [{name: x, webhook_configs: [{url_file: hook.url}]}]"
    )
    now_ms = int(time.time() * 1000)
    with webhook() as hook:
        (tmp_path / "hook.url").write_text(f"{hook.url}/from-file\n")
        async with notifier(settings, tmp_path) as own:
            own.send([Alert(Labels.of(alertname="x"), Labels(), now_ms, now_ms + 60_000)])
            await hook.wait_for(1)
        assert hook.paths == ["/hook/from-file"]
