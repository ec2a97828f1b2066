"""The same rule file in a real Prometheus and here: labels and annotations of alerts, character by character."""

import asyncio
import json
import time
import urllib.request
from pathlib import Path

import pytest
from tests.peers import find_peer, free_port, running
from tests.rules.test_with_engine import Building

from nunchi.model.labels import Labels
from nunchi.rules.files import parse_rule_file
from nunchi.rules.rule_group import GroupDefaults, RuleGroup
from nunchi.rules.surroundings import Surroundings

EXTERNAL_URL = "http://prometheus.example:9090/prefix"

# By name of the annotation; what depends on the time of the evaluation is left out.
TEMPLATES = {
    "value": "{{ $value }} {{ .Value }} {{ printf `%.3f` $value }} {{ $value | humanize }} {{ humanize1024 $value }}",
    "labels": "{{ $labels.host }} {{ .Labels.host }} {{ $labels.missing }}| {{ $labels }} {{ len $labels }}",
    "external": "{{ $externalLabels.site }} {{ .ExternalLabels }} {{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
    "numbers": "{{ humanize 0.00012 }} {{ humanize 0.0 }} {{ humanize 1e12 }} {{ humanize `12345` }} {{ humanize -999999 }}",
    "binary": "{{ humanize1024 1023.9 }} {{ humanize1024 1048576.0 }} {{ humanize1024 1e30 }}",
    "durations": "{{ humanizeDuration 0.0 }} {{ humanizeDuration 61.5 }} {{ humanizeDuration 0.0042 }} "
    "{{ humanizeDuration 1e6 }}",
    "negative": "{{ humanizeDuration -3661.0 }} {{ humanizeDuration `90` }} {{ humanizePercentage 0.12345 }}",
    "times": "{{ humanizeTimestamp 1435065584.128 }} {{ (toTime 1435065584.0).Year }} {{ toTime 1435065584.5 }}",
    "query": "{{ with query `vector(5)` }}{{ . | first | value }}{{ end }} "
    "{{ query `vector(6)` | first | value | printf `%.1f` }}",
    "loop": "{{ range query `sort_desc(label_replace(vector(1), 'a', 'x', '', '') or vector(2))` }}"
    "{{ .Labels.a }}={{ .Value }};{{ end }}",
    "sorted": "{{ range query `label_replace(vector(1), 'a', 'z', '', '') or label_replace(vector(2), 'a', 'b', '', '')` "
    "| sortByLabel `a` }}{{ .Labels.a }}{{ label `a` . }} {{ end }}",
    "text": "{{ toUpper `aé` }} {{ toLower `AÉ` }} {{ title `hello wORLD it's x-y_z` }} {{ match `a+` `caat` }}",
    "regex": "{{ reReplaceAll `(.*):\\d+` `$1` $labels.host }} {{ reReplaceAll `o` `${0}0` `foo` }}",
    "links": '{{ graphLink `up == 0` }} {{ tableLink `sum(x{a="b"})` }}',
    "hosts": "{{ stripPort `a.b:90` }} {{ stripPort `[::1]:90` }} {{ stripPort `nope` }} {{ stripDomain `a.b.c:80` }} "
    "{{ stripDomain `1.2.3.4:80` }} {{ stripDomain `host` }}",
    "misc": "{{ parseDuration `1h30m` }} {{ safeHtml `<b>` }} {{ args 1 `x` }} {{ html `<a>` }} {{ urlquery `a b` }}",
    "control": "{{ if gt $value 1.0 }}big{{ else }}small{{ end }}{{ range $i, $c := (args 1 2) }}{{ $i }}{{ $c }}{{ end }}",
    "trim": "a {{- /* nothing */ -}} b {{ $x := 5 }}{{ $x }} {{ define `t` }}[{{ . }}]{{ end }}{{ template `t` 3 }}",
    "printing": "{{ printf `%s %q %5d|%-5v|%t %x` `s` `q` 42 true false 255 }} {{ print 1 2 `a` nil }}",
}
RULES = """
groups:
  - name: templates
    rules:
      - alert: Templates
        expr: label_replace(vector(1234567.891), "host", "web.example.com:9100", "", "")
        labels: {severity: "{{ if gt $value 10.0 }}page{{ end }}", empty: "{{ $labels.nothing }}"}
        annotations:
%s
"""


@pytest.mark.peer
async def test_annotations_are_those_of_prometheus(tmp_path: Path):
    lines = "\n".join(f"          {name}: {json.dumps(text)}" for name, text in TEMPLATES.items())
    text = RULES % lines
    (tmp_path / "rules.yml").write_text(text)
    (tmp_path / "prometheus.yml").write_text(
        "global: {evaluation_interval: 200ms, external_labels: {site: here}}\nrule_files: [rules.yml]\n"
    )
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        find_peer("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        f"--web.external-url={EXTERNAL_URL}",
        "--web.route-prefix=/",
    ]

    def theirs() -> dict[str, dict[str, str]]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with urllib.request.urlopen(f"{url}/api/v1/alerts", timeout=5) as answer:
                alerts = json.load(answer)["data"]["alerts"]
            if alerts:
                return alerts[0]
            time.sleep(0.1)
        raise AssertionError("Prometheus has no alert")

    with running(command, f"{url}/-/ready", tmp_path / "log"):
        expected = await asyncio.to_thread(theirs)

    building = Building()
    group = building.group(text)
    file = parse_rule_file(text, "r.yml")
    surroundings = Surroundings(Labels.of(site="here"), EXTERNAL_URL)
    group = RuleGroup(file.groups[0], file.path, GroupDefaults(), surroundings, group._connections, is_restored=True)
    await group.evaluate(building.clock.now_ms())
    await building.queries.close()
    [rule] = group.status().rules
    assert rule.last_error == ""
    [ours] = rule.alerts
    assert dict(ours.labels.pairs) == expected["labels"]
    for name in TEMPLATES:
        assert (name, ours.annotations.get(name)) == (name, expected["annotations"].get(name, ""))
