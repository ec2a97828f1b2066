"""Prometheus's configuration file as one struct: each package's part of it, put together, and what holds between the parts.

Invariant: a `Configuration` that loaded can be applied, except for what `check_support` names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import msgspec

from nunchi.intake.scrape.scrape_manager import ScrapeSettings
from nunchi.intake.scrape.settings import (
    GlobalSettings,
    JobSettings,
    ScrapeConfigFile,
    check_jobs,
    resolve_job,
)
from nunchi.intake.sections import (
    OtlpSettings,
    RemoteReadSettings,
    RemoteWriteSettings,
    check_distinct_names,
    refuse_unsupported_sections,
)
from nunchi.kit.path_patterns import check_pattern, find_paths, has_wildcard
from nunchi.kit.settings import FieldError, SettingsError, WithoutEffect, load, load_file, remarks
from nunchi.kit.settings.loading import read_text
from nunchi.model.labels import Labels
from nunchi.query.syntax import STABLE, ParserSettings
from nunchi.rules.files import RuleFile, load_rule_files, missing_rule_files
from nunchi.server.alerting_settings import AlertingSettings
from nunchi.server.storage_settings import StorageSettings
from nunchi.server.tracing_settings import TracingSettings

FILES_MAX = 10_000
_ONE_STAR_AT_THE_END = re.compile(r"[^*]*(\*[^/]*)?")


class RuntimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`runtime`."""

    gogc: Annotated[int, WithoutEffect("there is no garbage collector of Go's")] = 75


class PrometheusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    common: GlobalSettings = msgspec.field(name="global", default_factory=GlobalSettings)
    runtime: RuntimeSettings = RuntimeSettings()
    alerting: AlertingSettings = AlertingSettings()
    rule_files: tuple[str, ...] = ()
    scrape_config_files: tuple[str, ...] = ()
    scrape_configs: tuple[JobSettings, ...] = ()
    storage: StorageSettings = StorageSettings()
    tracing: Annotated[TracingSettings | None, WithoutEffect("no traces are sent by this version")] = None
    remote_write: tuple[RemoteWriteSettings, ...] = ()
    remote_read: tuple[RemoteReadSettings, ...] = ()
    otlp: Annotated[OtlpSettings, WithoutEffect("this version receives no OTLP")] = OtlpSettings()

    def __post_init__(self) -> None:
        check_jobs(self.common, self.scrape_configs)
        check_distinct_names("remote_write", self.remote_write)
        check_distinct_names("remote_read", self.remote_read)
        self.otlp.check_scheme(self.common.metric_name_validation_scheme)
        for key in ("rule_files", "scrape_config_files"):
            for position, pattern in enumerate(getattr(self, key)):
                if not _ONE_STAR_AT_THE_END.fullmatch(pattern):
                    raise FieldError(f"{pattern}: a star may stand only in the last part of a path", key, position)
                try:
                    check_pattern(pattern)
                except ValueError as error:
                    raise FieldError(str(error), key, position) from None


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration file with the files that it names, loaded and checked.

    Relative names are below `folder`; those of jobs from other files below `job_folders`, by job name.
    """

    settings: PrometheusSettings
    jobs: tuple[JobSettings, ...] = ()
    rule_files: tuple[RuleFile, ...] = ()
    folder: Path = Path()
    job_folders: Mapping[str, Path] = field(default_factory=dict)

    @property
    def scrape(self) -> ScrapeSettings:
        """What scraping takes."""
        return ScrapeSettings(self.settings.common, self.jobs, self.folder, self.job_folders)

    @property
    def external_labels(self) -> Labels:
        """Labels added to all that leaves."""
        return Labels(self.settings.common.external_labels)

    def check_support(self) -> None:
        """Raise an `InputError` naming what is well-formed and not done by this version."""
        for job in self.jobs:
            resolve_job(self.settings.common, job, self.scrape.folder_of(job))
        refuse_unsupported_sections(self.settings.remote_write, self.settings.remote_read)
        self.settings.alerting.check_support()

    def remarks(self) -> list[str]:
        """Sentences about settings that are accepted and change nothing here."""
        said = remarks(msgspec.structs.replace(self.settings, scrape_configs=self.jobs))
        for path in missing_rule_files(self.settings.rule_files, self.folder):
            said.append(f"rule_files: {path} does not exist and is passed over: create it, or remove it from the list")
        return said

    def with_rules(self, files: tuple[RuleFile, ...]) -> "Configuration":
        """The same with more rule files."""
        return replace(self, rule_files=(*self.rule_files, *files))


def parse_configuration(
    text: str, path: Path, environment: Mapping[str, str], parser: ParserSettings = STABLE
) -> Configuration:
    """The configuration in a text that stands, or would stand, at `path`; raises `SettingsError`.

    `parser` says which PromQL the rules may use.
    """
    folder = path.absolute().parent
    settings = load(PrometheusSettings, text, str(path), environment)
    jobs = [*settings.scrape_configs]
    owners = {job.job_name: str(path) for job in jobs}
    job_folders: dict[str, Path] = {}
    for file in _files(settings.scrape_config_files, folder):
        included = load_file(ScrapeConfigFile, file, environment).scrape_configs
        try:
            check_jobs(settings.common, included)
        except FieldError as error:
            raise SettingsError(str(file), None, str(error)) from None
        for job in included:
            if job.job_name in owners:
                owner = owners[job.job_name]
                raise SettingsError(str(file), None, f'job "{job.job_name}" stands in {owner} already: rename one')
            owners[job.job_name] = str(file)
            job_folders[job.job_name] = file.parent
        jobs += included
    rule_files = load_rule_files(settings.rule_files, folder, parser)
    return Configuration(settings, tuple(jobs), rule_files, folder, job_folders)


def load_configuration(path: Path, environment: Mapping[str, str], parser: ParserSettings = STABLE) -> Configuration:
    """The configuration in a file; raises `SettingsError`. See `parse_configuration`."""
    return parse_configuration(read_text(path), path, environment, parser)


def _files(patterns: tuple[str, ...], folder: Path) -> list[Path]:
    found: dict[Path, None] = {}
    for pattern in patterns:
        paths = find_paths(pattern, folder) if has_wildcard(pattern) else [folder / pattern]
        found.update(dict.fromkeys(paths))
    if len(found) > FILES_MAX:
        raise SettingsError(str(folder), None, f"more than {FILES_MAX} scrape_config_files: narrow the patterns")
    return list(found)
