"""What a server shows of its flags and of the configuration in force."""

from pathlib import Path

import pytest
import yaml

from nunchi.cli.server import command
from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.secrets import Secret
from nunchi.server.flags import ServerFlags
from nunchi.server.settings import Configuration, parse_configuration
from nunchi.server.shown_configuration import shown_configuration
from nunchi.up.program import with_own_parts

FILE = """
global: {scrape_interval: 5s, external_labels: {site: north}}
scrape_configs:
- job_name: a
  basic_auth: {username: u, password: hush}
  static_configs: [{targets: ["127.0.0.1:9100"]}]
  relabel_configs: [{source_labels: [__address__], regex: "x:1", action: drop}]
- {job_name: b, scrape_interval: 30s}
"""


def configuration(text: str) -> Configuration:
    return parse_configuration(text, Path("prometheus.yml"), {})


def test_flags_are_shown_under_the_names_that_are_typed():
    typed = {option.opts[0].removeprefix("--") for option in command.params if not option.hidden}
    assert set(ServerFlags().shown()) == typed


def test_the_configuration_shown_has_the_intervals_in_force():
    shown = yaml.safe_load(shown_configuration(configuration(FILE)))
    assert shown["global"] == {
        "scrape_interval": "5s",
        "scrape_timeout": "5s",
        "evaluation_interval": "1m",
        "external_labels": {"site": "north"},
    }
    assert [(job["job_name"], job["scrape_interval"], job["scrape_timeout"]) for job in shown["scrape_configs"]] == [
        ("a", "5s", "5s"),
        ("b", "30s", "5s"),
    ]
    assert set(shown) == {"global", "scrape_configs"}


def test_a_job_is_shown_with_its_name_first_and_without_what_says_nothing():
    text = shown_configuration(configuration(FILE))
    assert "- job_name: a\n  scrape_interval: 5s\n  scrape_timeout: 5s\n  metrics_path: /metrics\n" in text
    assert "_limit" not in text
    assert "hush" not in text


def test_nothing_configured_is_shown_as_the_defaults():
    assert shown_configuration(configuration("")) == (
        "global:\n  scrape_interval: 1m\n  scrape_timeout: 10s\n  evaluation_interval: 1m\n"
    )


@pytest.mark.parametrize("text", ["", FILE, "storage: {tsdb: {retention: {time: 5d}}}"])
def test_what_is_shown_is_a_configuration_that_means_the_same(text: str):
    shown = shown_configuration(configuration(text))
    assert shown_configuration(configuration(shown)) == shown


def test_the_job_that_up_adds_is_shown_without_its_secret():
    own = with_own_parts(
        configuration(FILE), "http://127.0.0.1:9190", HttpClientSettings(bearer_token=Secret("hidden"))
    )
    shown = shown_configuration(own)
    assert [job["job_name"] for job in yaml.safe_load(shown)["scrape_configs"]] == ["a", "b", "nunchi"]
    assert "hidden" not in shown
