"""Prometheus's own configuration files: what it refuses is refused with place and cure, what it loads is loaded."""

import re
from pathlib import Path

import pytest

from nunchi.kit.settings import SettingsError, load_file
from nunchi.server.settings import PrometheusSettings, load_configuration

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "conformance" / "prometheus-config"
FILES = sorted(FOLDER.glob("*.yml"))
NAMES_ABSENT_RULES = {"rules_abs_path.good.yml"}  # Prometheus reads rule files later, and passes over absent ones
PLACE = re.compile(r".+\.yml(:\d+:\d+)?: .{10,}", re.DOTALL)


def is_bad(path: Path) -> bool:
    return path.name.endswith((".bad.yml", ".incompatible.yml"))


if not FILES:
    pytest.skip("the conformance data is not beside the repository", allow_module_level=True)


@pytest.mark.parametrize("path", [path for path in FILES if is_bad(path)], ids=lambda path: path.name)
def test_what_prometheus_refuses_is_refused_with_its_place(path: Path) -> None:
    with pytest.raises(SettingsError, match=PLACE):
        load_configuration(path, {})


@pytest.mark.parametrize("path", [path for path in FILES if not is_bad(path)], ids=lambda path: path.name)
def test_what_prometheus_loads_is_loaded(path: Path) -> None:
    if path.name in NAMES_ABSENT_RULES:
        load_file(PrometheusSettings, path)
    else:
        load_configuration(path, {"TEST": "value"})


def test_external_labels_are_expanded_once() -> None:
    labels = load_configuration(
        FOLDER / "external_labels.good.yml", {"TEST": "value$x"}
    ).settings.common.external_labels
    assert labels == {"bar": "foo", "foo": "value$x", "baz": "foovalue$xbar", "qux": "foo${TEST}", "xyz": "foo$bar"}


def test_jobs_of_other_files_keep_their_folder() -> None:
    configuration = load_configuration(FOLDER / "scrape_config_files_glob.good.yml", {})
    assert [job.job_name for job in configuration.jobs] == ["prometheus", "node"]
    assert {configuration.scrape.folder_of(job) for job in configuration.jobs} == {FOLDER / "scrape_configs"}
