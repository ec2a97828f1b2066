"""The agent's configuration file: defaults, what can be set, and what is said about mistakes."""

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from nunchi.agent.checks import CHECKS
from nunchi.agent.settings import AgentSettings, parse_agent_settings
from nunchi.kit.settings import SettingsError, dump


def test_defaults_watch_this_host_every_ten_seconds_and_deliver_to_loopback() -> None:
    settings = AgentSettings()
    assert settings.server.enabled
    assert settings.server.url == "http://127.0.0.1:9190"
    assert {settings.interval_seconds(own) for _, own in settings.check_settings()} == {10.0}
    assert {"cpu", "memory", "filesystem"} <= {name for name, _ in settings.check_settings()}
    assert settings.exporter is None


def test_file_sets_what_it_mentions_and_leaves_the_rest() -> None:
    settings = parse_agent_settings(
        """
name: web-1
labels: {site: north}
interval: 15s
server:
  url: https://metrics.example.org
  basic_auth: {username: agent, password: hidden}
exporter: {address: "127.0.0.1:9101"}
checks:
  filesystem: {interval: 1m, fs_types_exclude: ^tmpfs$}
  entropy: {enabled: false}
""",
        "agent.yaml",
    )
    checks = dict(settings.check_settings())
    assert "entropy" not in checks
    assert settings.interval_seconds(checks["cpu"]) == 15
    assert settings.interval_seconds(checks["filesystem"]) == 60
    assert "hidden" not in dump(settings)


def test_deadline_is_never_longer_than_the_interval() -> None:
    settings = parse_agent_settings("{interval: 2s, checks: {cpu: {interval: 1m, deadline: 30s}}}", "a.yaml")
    checks = dict(settings.check_settings())
    assert settings.deadline_seconds(checks["cpu"]) == 30
    assert settings.deadline_seconds(checks["load"]) == 2


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("checks:\n  cpuu: {}\n", "a.yaml:2:3", "cpu"),
        ("checks:\n  netstat:\n    fields: '('\n", "a.yaml:", "regular expression"),
        ("interval: 1\n", "a.yaml:1:11", "duration"),
        ("interval: 1ms\n", "a.yaml:1:11", "100ms"),
        ("labels: {job: x}\n", "a.yaml:1:", "job"),
        ("server: {url: example.org}\n", "a.yaml:1:15", "in full"),
        ("spool: {bytes_max: 5}\n", "a.yaml:1:20", "65536"),
        ("server: {url: 'http://a', basic_auth: {password: x, password_file: y}}\n", "a.yaml:1:", "password"),
    ],
)
def test_mistakes_are_named_with_their_place_and_cure(text: str, place: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_agent_settings(text, "a.yaml")
    assert str(raised.value).startswith(place)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("labels: {a-b: x}", '1:9: "a-b" is not a label\'s name'),
        ("labels: {__x: y}", "1:9: "),
        ("labels: {instance: y}", '1:9: "instance" says who a series is'),
        ("spool: {age_max: 0s}", "1:18: 1s is the least"),
        ("checks: {cpu: {interval: 1ms}}", "1:26: 100ms is the shortest interval"),
        ("checks: {cpu: {labels: {job: x}}}", '1:24: "job"'),
        ("checks: {http: {method: GET}}", "there is nothing to probe: name targets"),
        ("server: {url: host:9190}", "1:15: write the server's address in full"),
        ("server: {url: 'http://'}", "1:15: write the server's address in full"),
        ("server: {url: 'http://host:99999'}", "1:15: write the server's address in full"),
        ("server: {url: 'http://host:9190/?a=b'}", "1:15: write the server's address in full"),
        ("server: {url: 'https://agent:secret@host'}", "1:15: write user and password into basic_auth"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace("?", r"\?")) as caught:
        parse_agent_settings(text, "agent.yaml")
    assert "secret" not in str(caught.value)


def leaves(type_: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every type of a scalar below a type, with the way to it."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        for field in msgspec.structs.fields(type_):
            yield from leaves(field.type, f"{path}.{field.name}")
    elif arguments := [one for one in get_args(type_) if one not in {type(None), ...}]:
        for one in arguments if get_origin(type_) is not Literal else ():
            yield from leaves(one, path)
    else:
        yield path, type_


def test_a_file_can_say_whatever_the_settings_know() -> None:
    known = {bool, int, float, str, Any, object, dict, list, tuple}
    every = [*leaves(AgentSettings), *(leaf for check in CHECKS for leaf in leaves(check.settings_type, check.name))]
    types = [(path, type_) for path, type_ in every if isinstance(type_, type) and type_ not in known]
    assert len(types) > 50
    assert [path for path, type_ in types if not hasattr(type_, "parse") and not issubclass(type_, enum.Enum)] == []


def test_a_listener_beyond_loopback_takes_its_certificate_from_a_file_below_the_folder() -> None:
    text = "exporter: {address: '0.0.0.0:9100', web_config_file: web.yml}"
    exporter = parse_agent_settings(text, "agent.yaml").exporter
    assert exporter is not None
    assert exporter.web_config(Path("/etc/nunchi-agent")) == Path("/etc/nunchi-agent/web.yml")
    assert exporter.web_config(Path("/")) == Path("/web.yml")
