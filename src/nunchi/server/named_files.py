"""What a configuration names and what becomes of it: files that must be there, targets that must have an address.

A server starts without them, scrapes that need them fail; whoever checks a configuration wants to know before.
Invariant: files are read, never written; nothing is connected to.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from nunchi.intake.discovery.file import read_groups
from nunchi.intake.discovery.static import ADDRESS
from nunchi.intake.scrape.settings import JobSettings, resolve_job
from nunchi.intake.scrape.target import TargetError, discovered_labels, make_target, split_address
from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.path_patterns import find_paths
from nunchi.kit.settings import SettingsError
from nunchi.model.relabel import Relabeller
from nunchi.rules.files import missing_rule_files
from nunchi.server.settings import Configuration

ALERTMANAGER_PORT = 9093


def faults_of(configuration: Configuration) -> Iterator[str]:
    """A sentence for each file that is missing or broken, and for each target without an address."""
    settings = configuration.settings
    for path in missing_rule_files(settings.rule_files, configuration.folder):
        yield f"rule_files: {path} does not exist: create it, or remove it from the list"
    for job in configuration.jobs:
        where, folder = f'job "{job.job_name}"', configuration.scrape.folder_of(job)
        yield from _missing_files(job, where, folder)
        yield from _targets_at_fault(configuration, job, where, folder)
    for place, one in enumerate(settings.alerting.alertmanagers):
        where = f"alerting.alertmanagers[{place}]"
        yield from _missing_files(one, where, configuration.folder)
        relabeller = Relabeller(one.relabel_configs)
        for group in one.static_configs:
            for address in group.targets:
                labels = {**group.labels, ADDRESS: address}
                if relabeller.apply(labels):
                    yield from _without_address(labels, f'{where}: target "{address}"')


def _missing_files(settings: HttpClientSettings, where: str, folder: Path) -> Iterator[str]:
    for info in msgspec.structs.fields(HttpClientSettings):
        for key, name in _named(info.name, getattr(settings, info.name)):
            if not (folder / name).exists():
                yield f"{where}: {key}: {folder / name} does not exist: create it, or name another"


def _named(key: str, value: object) -> Iterator[tuple[str, str]]:
    """The file names in a value and below it, each with its key."""
    if isinstance(value, str) and value and key.endswith("_file"):
        yield key, value
    if isinstance(value, msgspec.Struct):
        for info in msgspec.structs.fields(type(value)):
            for below, name in _named(info.name, getattr(value, info.name)):
                yield f"{key}.{below}", name


def _targets_at_fault(configuration: Configuration, job: JobSettings, where: str, folder: Path) -> Iterator[str]:
    pool = resolve_job(configuration.settings.common, job, folder)

    def judge(addresses: Iterable[str], labels: Mapping[str, str], where: str) -> Iterator[str]:
        for address in addresses:
            try:
                make_target(
                    discovered_labels({ADDRESS: address}, labels, pool.defaults), pool.relabelling, pool.defaults
                )
            except TargetError as error:
                yield f'{where}: target "{address}": {error}'

    for group in job.static_configs:
        yield from judge(group.targets, group.labels, where)
    for entry in job.file_sd_configs:
        for path in (path for pattern in entry.files for path in find_paths(pattern, folder)):
            try:
                groups = read_groups(path)
            except SettingsError as error:
                yield str(error)
                continue
            for found in groups:
                yield from judge(found.targets, found.labels, f"{where}: {path}")


def _without_address(labels: Mapping[str, str], where: str) -> Iterator[str]:
    try:
        split_address(labels.get(ADDRESS, ""), ALERTMANAGER_PORT)
    except TargetError as error:
        yield f"{where}: {error}"
