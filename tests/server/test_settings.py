"""Prometheus's configuration file as a whole: what its parts, which do not know each other, must agree on."""

from nunchi.intake.mechanisms import SUFFIX, DiscoverySettings
from nunchi.notify.alertmanager_settings import AlertmanagerSettings


def test_alertmanagers_may_name_every_discovery_that_jobs_may() -> None:
    of_jobs, of_alertmanagers = (
        {name for name in settings.__struct_fields__ if name.endswith(SUFFIX)}
        for settings in (DiscoverySettings, AlertmanagerSettings)
    )
    assert of_alertmanagers == of_jobs
