"""What settings ask for is tried and told before an agent is started with them."""

from pathlib import Path

import pytest

from nunchi.agent.plans import describe_plans
from nunchi.agent.settings import parse_agent_settings
from nunchi.kit.errors import InputError
from nunchi.kit.system_disk import SystemDisk


def plans(text: str, folder: Path) -> list[str]:
    return list(describe_plans(parse_agent_settings(f"{{name: x, {text}}}", "agent.yaml"), folder, SystemDisk()))


def test_parts_beside_checks_are_told(tmp_path: Path) -> None:
    assert plans("interval: 10s", tmp_path) == []
    (tmp_path / "key").write_text("0123456789abcdef")
    rules = "mapping: {mappings: [{match: a.*, name: a}]}"
    assert plans(f"statsd: {{tcp: ['127.0.0.1:1'], {rules}}}, scouter: {{address: 's:6100'}}", tmp_path) == [
        "listens for StatsD at: udp 127.0.0.1:8125, tcp 127.0.0.1:1; mapping rules: 1",
        "sends Scouter packs to: s:6100",
    ]
    assert plans("udp: {address: 's:9191', key_file: key}, cloud: {}", tmp_path) == [
        "sends rounds as packs first to: s:9191, aead, with a key of its own",
        "watches the clouds that the server keeps; credentials: those of its surroundings alone",
    ]
    assert "the key that it got when it joined" in plans("udp: {address: 's:9191', mode: hmac}", tmp_path)[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("statsd: {mapping: {mappings: [{match: '(', match_type: regex, name: x}]}}", "not a valid regular expression"),
        ("statsd: {mapping_file: nope.yaml}", "no such file"),
        ("udp: {address: 's:9191', key_file: nope}", "key file cannot be read"),
    ],
)
def test_what_would_keep_the_agent_from_starting_is_said(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        plans(text, tmp_path)
