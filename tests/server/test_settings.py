"""Prometheus's configuration file as a whole: what its parts, which do not know each other, must agree on."""

from pathlib import Path

import pytest

from nunchi.kit.settings import SettingsError
from nunchi.notify.alertmanager_settings import AlertmanagerGroup
from nunchi.server.settings import parse_configuration

ALERTING = """
alerting:
  alertmanagers:
  - {scheme: https, path_prefix: /am, timeout: 3s, basic_auth: {username: u}, static_configs: [{targets: [a], labels: {x: y}}]}
"""


def test_alertmanagers_are_handed_to_sending_with_all_that_the_file_says() -> None:
    [one] = parse_configuration(ALERTING, Path("p.yml"), {}).settings.alerting.resolved()
    assert one.http.basic_auth is not None
    assert one.http.basic_auth.username == "u"
    assert (one.scheme, one.path_prefix, one.timeout_seconds) == ("https", "/am", 3.0)
    assert one.groups == (AlertmanagerGroup(("a",), {"x": "y"}),)


@pytest.mark.parametrize(
    "entry", ["api_version: v1", "static_configs: [{targets: ['http://a/']}]", "scheme: ftp", "timeot: 5s"]
)
def test_a_broken_entry_of_alertmanagers_is_refused(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"p.yml:1:"):
        parse_configuration(f"alerting: {{alertmanagers: [{{{entry}}}]}}", Path("p.yml"), {})


@pytest.mark.parametrize("key", ["rule_files", "scrape_config_files"])
@pytest.mark.parametrize(
    ("pattern", "fault"),
    [("[", "close its bracket"), ("a/*/b.yml", "only in the last part"), ("rules/[a.yml", "close")],
)
def test_a_malformed_pattern_of_files_is_refused_at_its_place(
    key: str, pattern: str, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=rf"prometheus.yml:2:4: .*{fault}"):
        parse_configuration(f'{key}:\n - "{pattern}"\n', tmp_path / "prometheus.yml", {})
