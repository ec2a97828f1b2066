"""Prometheus's configuration file as a whole: what its parts, which do not know each other, must agree on."""

from pathlib import Path

import pytest

from nunchi.intake.mechanisms import SUFFIX, DiscoverySettings
from nunchi.kit.settings import SettingsError
from nunchi.notify.alertmanager_settings import AlertmanagerSettings
from nunchi.server.settings import parse_configuration


def test_alertmanagers_may_name_every_discovery_that_jobs_may() -> None:
    of_jobs, of_alertmanagers = (
        {name for name in settings.__struct_fields__ if name.endswith(SUFFIX)}
        for settings in (DiscoverySettings, AlertmanagerSettings)
    )
    assert of_alertmanagers == of_jobs


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
