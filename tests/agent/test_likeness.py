"""Instances that would hide each other are refused, those that show different things are not."""

from pathlib import Path

import pytest

from nunchi.agent.configuration import ConfigurationFolder
from nunchi.kit.settings import SettingsError


def loaded(folder: Path, check: str, instances: str) -> int:
    """How many instances of a check a file makes."""
    (folder / "conf.d").mkdir()
    (folder / f"conf.d/{check}.yaml").write_text(f"instances: {instances}")
    return sum(one.check.name == check for one in ConfigurationFolder(folder, {}).load().instances)


@pytest.mark.parametrize(
    ("check", "instances", "likeness"),
    [
        ("cpu", "[{}, {}]", "are the same but for when they run"),
        ("cpu", "[{}, {interval: 1m}]", "are the same but for when they run"),
        ("textfile", "[{folders: [/a]}, {folders: [/a], deadline: 1s}]", "are the same"),
        ("redis", "[{address: 'a:1'}, {address: 'b:1'}]", "have the same labels"),
        ("redis", "[{address: 'a:1', labels: {n: x}}, {address: 'b:1', labels: {n: x}}]", "have the same labels"),
        ("http", "[{targets: ['http://a/', 'http://b/']}, {targets: ['http://b/'], method: HEAD}]", "target http://b/"),
    ],
)
def test_instances_that_would_show_the_same_series_are_refused(
    tmp_path: Path, check: str, instances: str, likeness: str
) -> None:
    with pytest.raises(SettingsError, match=f"two instances of {check} .*{likeness}.*labels: {{server: one}}"):
        loaded(tmp_path, check, instances)


@pytest.mark.parametrize(
    ("check", "instances"),
    [
        ("cpu", "[{}, {labels: {n: a}}]"),
        ("cpu", "[{}, {enabled: false}]"),
        ("filesystem", "[{fs_types_exclude: ^nfs}, {fs_types_exclude: ^ext4, interval: 1m}]"),
        ("redis", "[{labels: {n: x}}, {labels: {n: y}}]"),
        ("http", "[{targets: ['http://a/']}, {targets: ['http://b/']}]"),
        ("http", "[{targets: ['http://a/']}, {targets: ['http://a/'], labels: {n: x}}]"),
    ],
)
def test_instances_that_show_different_series_are_taken(tmp_path: Path, check: str, instances: str) -> None:
    assert loaded(tmp_path, check, instances) == 2 - instances.count("false")
