"""The scrape side of Prometheus's configuration file: `global`, `scrape_configs`, and what follows from both for one job.

The structs say what is well-formed by itself; `resolve_jobs` checks what depends on several places and gives every job its
`PoolSettings`, defaults filled in.
Invariant: a job that resolved needs nothing else of the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from nunchi.admission.limits import SeriesLimits
from nunchi.intake.discovery.static import refuse_urls
from nunchi.intake.mechanisms import DiscoverySettings, UnsupportedSettingsError, refuse_unsupported
from nunchi.intake.scrape.fetch import FetchSettings
from nunchi.intake.scrape.interpretation import HistogramRules
from nunchi.intake.scrape.negotiation import DEFAULT_PROTOCOLS, NATIVE_PROTOCOLS, PROTOCOL_MEDIA_TYPES
from nunchi.intake.scrape.pool import PoolSettings
from nunchi.intake.scrape.series import SampleRules
from nunchi.intake.scrape.target import TargetDefaults
from nunchi.kit.http_client import HttpClientSettings
from nunchi.kit.settings import Duration, Expanded, FieldError, WithoutEffect
from nunchi.kit.sizes import Size
from nunchi.model.names import NameScheme, is_encodable
from nunchi.model.relabel import Relabeller, RelabelRule
from nunchi.wire.exposition import ExpositionFormat
from nunchi.wire.histogram_resolution import schema_of_factor

DEFAULT_INTERVAL = Duration(60_000)
DEFAULT_TIMEOUT = Duration(10_000)
LEGACY_ESCAPING = "underscores"
UTF8_ESCAPING = "allow-utf-8"

Escaping = Literal["allow-utf-8", "underscores", "dots", "values"]
FailureLog = Annotated[str, WithoutEffect("failed scrapes are on the targets page, not in a file")]


def check_protocols(protocols: Sequence[str] | None) -> None:
    """Known protocols, each once."""
    if protocols is None:
        return
    if not protocols:
        raise FieldError("scrape_protocols cannot be empty: name one, or remove the key", "scrape_protocols")
    for position, name in enumerate(protocols):
        if name not in PROTOCOL_MEDIA_TYPES:
            raise FieldError(_unknown_protocol(name), "scrape_protocols", position)
        if name in protocols[:position]:
            raise FieldError(f"{name} is given twice: keep one", "scrape_protocols", position)


def _unknown_protocol(name: str) -> str:
    return f'"{name}" is not known: use one of {", ".join(sorted(PROTOCOL_MEDIA_TYPES))}'


class ScrapeOptions(DiscoverySettings, frozen=True, forbid_unknown_fields=True):
    """What stands in a job; a key that may stand in `global` too is None or 0 where the job does not say it."""

    job_name: str = ""
    scrape_interval: Duration = Duration(0)
    scrape_timeout: Duration = Duration(0)
    scrape_protocols: tuple[str, ...] | None = None
    fallback_scrape_protocol: str = ""
    scrape_native_histograms: bool | None = None
    scrape_classic_histograms: bool | None = None  # what Prometheus 2 called the next
    always_scrape_classic_histograms: bool | None = None
    convert_classic_histograms_to_nhcb: bool | None = None
    extra_scrape_metrics: bool | None = None
    metrics_path: str = "/metrics"
    scheme: Literal["http", "https"] = "http"
    params: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    honor_labels: bool = False
    honor_timestamps: bool = True
    track_timestamps_staleness: bool = False
    enable_compression: bool = True
    scrape_failure_log_file: FailureLog = ""
    body_size_limit: Size = Size(0)
    sample_limit: int = 0
    target_limit: int = 0
    label_limit: int = 0
    label_name_length_limit: int = 0
    label_value_length_limit: int = 0
    keep_dropped_targets: int = 0
    native_histogram_bucket_limit: int = 0
    native_histogram_min_bucket_factor: float = 0.0
    metric_name_validation_scheme: NameScheme | None = None
    metric_name_escaping_scheme: Escaping | None = None
    relabel_configs: tuple[RelabelRule, ...] = ()
    metric_relabel_configs: tuple[RelabelRule, ...] = ()


class JobSettings(ScrapeOptions, frozen=True, forbid_unknown_fields=True):
    """One entry of `scrape_configs`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.job_name:
            raise FieldError("job_name is missing: every job needs a name of its own", "job_name")
        if self.scrape_interval and self.scrape_timeout > self.scrape_interval:
            raise FieldError(
                f"scrape_timeout {self.scrape_timeout} is longer than scrape_interval {self.scrape_interval}: shorten it",
                "scrape_timeout",
            )
        if not self.relabel_configs:
            refuse_urls(self.static_configs)
        check_protocols(self.scrape_protocols)
        if self.fallback_scrape_protocol and self.fallback_scrape_protocol not in PROTOCOL_MEDIA_TYPES:
            raise FieldError(_unknown_protocol(self.fallback_scrape_protocol), "fallback_scrape_protocol")
        check_limits(self)
        if self.native_histogram_bucket_limit < 0:
            raise FieldError("a limit is 0 (none) or more", "native_histogram_bucket_limit")
        if not self.native_histogram_min_bucket_factor >= 0:
            raise FieldError("a factor is 0 (none) or more", "native_histogram_min_bucket_factor")


class GlobalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`global`: defaults for jobs, and what concerns the whole server."""

    scrape_interval: Duration = Duration(0)
    scrape_timeout: Duration = Duration(0)
    scrape_protocols: tuple[str, ...] | None = None
    scrape_native_histograms: bool | None = None
    always_scrape_classic_histograms: bool | None = None
    convert_classic_histograms_to_nhcb: bool | None = None
    extra_scrape_metrics: bool | None = None
    evaluation_interval: Duration = DEFAULT_INTERVAL
    rule_query_offset: Duration = Duration(0)
    external_labels: dict[str, Expanded] = {}
    query_log_file: Annotated[str, WithoutEffect("no query log is written by this version")] = ""
    scrape_failure_log_file: FailureLog = ""
    body_size_limit: Size = Size(0)
    sample_limit: int = 0
    target_limit: int = 0
    label_limit: int = 0
    label_name_length_limit: int = 0
    label_value_length_limit: int = 0
    keep_dropped_targets: int = 0
    metric_name_validation_scheme: NameScheme | None = None
    metric_name_escaping_scheme: Escaping | None = None

    def __post_init__(self) -> None:
        if self.scrape_timeout > self.interval:
            raise FieldError(
                f"scrape_timeout {self.scrape_timeout} is longer than scrape_interval {self.interval}: shorten it",
                "scrape_timeout",
            )
        check_protocols(self.scrape_protocols)
        check_limits(self)
        for name, value in self.external_labels.items():
            if not NameScheme.UTF8.is_label_name(name):
                raise FieldError(f"{name!r} is not a valid label name", "external_labels", name)
            if not is_encodable(value):
                raise FieldError(f"{value!r} is not a valid label value", "external_labels", name)
        check_escaping(self.metric_name_validation_scheme, self.metric_name_escaping_scheme)

    @property
    def interval(self) -> Duration:
        """`scrape_interval`, or its default."""
        return self.scrape_interval or DEFAULT_INTERVAL

    @property
    def timeout(self) -> Duration:
        """`scrape_timeout`, or its default, which is never longer than the interval."""
        return self.scrape_timeout or min(DEFAULT_TIMEOUT, self.interval)


class ScrapeConfigFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of `scrape_config_files` may say."""

    scrape_configs: tuple[JobSettings, ...] = ()


def check_limits(settings: JobSettings | GlobalSettings) -> None:
    """Limits are numbers from 0."""
    for name in ("sample", "target", "label", "label_name_length", "label_value_length"):
        if getattr(settings, f"{name}_limit") < 0:
            raise FieldError("a limit is 0 (none) or more", f"{name}_limit")
    if settings.keep_dropped_targets < 0:
        raise FieldError("a limit is 0 (none) or more", "keep_dropped_targets")


def check_escaping(scheme: NameScheme | None, escaping: str | None) -> None:
    """Names that may not be UTF-8 cannot be asked for as UTF-8."""
    if scheme is NameScheme.LEGACY and escaping == UTF8_ESCAPING:
        raise FieldError(
            f"{UTF8_ESCAPING} asks targets for names that metric_name_validation_scheme legacy forbids: change one of them",
            "metric_name_escaping_scheme",
        )


def check_jobs(common: GlobalSettings, jobs: Sequence[JobSettings]) -> None:
    """Raise `FieldError` for what is wrong between jobs, or between a job and `global`; steps begin at `scrape_configs`."""
    seen: set[str] = set()
    for position, job in enumerate(jobs):
        if job.job_name in seen:
            raise FieldError(
                f'a second job is called "{job.job_name}": every job needs a name of its own',
                "scrape_configs",
                position,
                "job_name",
            )
        seen.add(job.job_name)
        try:
            _check_job(common, job)
        except FieldError as error:
            raise FieldError(str(error), "scrape_configs", position, *error.steps) from None


def _check_job(common: GlobalSettings, job: JobSettings) -> None:
    interval = job.scrape_interval or common.interval
    if job.scrape_timeout > interval:
        raise FieldError(
            f"scrape_timeout {job.scrape_timeout} is longer than the scrape_interval {interval} of global: shorten it",
            "scrape_timeout",
        )
    scheme = _scheme(common, job)
    check_escaping(scheme, _escaping(common, job, scheme))
    for key in ("relabel_configs", "metric_relabel_configs"):
        for place, rule in enumerate(getattr(job, key)):
            try:
                rule.check_names(scheme)
            except ValueError as error:
                raise FieldError(str(error), key, place) from None


def _scheme(common: GlobalSettings, job: JobSettings) -> NameScheme:
    return job.metric_name_validation_scheme or common.metric_name_validation_scheme or NameScheme.UTF8


def _escaping(common: GlobalSettings, job: JobSettings, scheme: NameScheme) -> str:
    default = UTF8_ESCAPING if scheme is NameScheme.UTF8 else LEGACY_ESCAPING
    return job.metric_name_escaping_scheme or common.metric_name_escaping_scheme or default


@dataclass(frozen=True, slots=True)
class ScrapeFeatures:
    """What the flags of a program turn on for all jobs.

    with_starts   created timestamps are asked for and kept
    extra_report  `extra_scrape_metrics` is on where the configuration does not say
    family_labels type and unit of their family are labels of series
    """

    with_starts: bool = False
    extra_report: bool = False
    family_labels: bool = False


NO_FEATURES = ScrapeFeatures()


def resolve_job(
    common: GlobalSettings, job: JobSettings, folder: Path, features: ScrapeFeatures = NO_FEATURES
) -> PoolSettings:
    """Everything a pool needs; relative file names are below `folder`. Raises `UnsupportedSettingsError`."""
    where = f'job "{job.job_name}"'
    refuse_unsupported(job, where)
    scheme = _scheme(common, job)
    histograms = _histogram_rules(common, job, with_starts=features.with_starts)
    default_protocols = NATIVE_PROTOCOLS if histograms.with_native or features.with_starts else DEFAULT_PROTOCOLS
    protocols = tuple(job.scrape_protocols or common.scrape_protocols or default_protocols)
    interval = job.scrape_interval or common.interval
    timeout = job.scrape_timeout or min(common.timeout, interval)
    return PoolSettings(
        defaults=TargetDefaults(job.job_name, job.scheme, job.metrics_path, interval.ms, timeout.ms, job.params),
        relabelling=Relabeller(job.relabel_configs, scheme),
        rules=SampleRules(
            relabelling=Relabeller(job.metric_relabel_configs, scheme),
            limits=SeriesLimits(
                job.label_limit or common.label_limit,
                job.label_name_length_limit or common.label_name_length_limit,
                job.label_value_length_limit or common.label_value_length_limit,
            ),
            scheme=scheme,
            honor_labels=job.honor_labels,
            honor_timestamps=job.honor_timestamps,
            track_timestamps_staleness=job.track_timestamps_staleness,
            samples_max=job.sample_limit or common.sample_limit,
            histograms=histograms,
            with_family_labels=features.family_labels,
        ),
        fetch=FetchSettings(
            http=HttpClientSettings(**{name: getattr(job, name) for name in HttpClientSettings.__struct_fields__}),
            protocols=protocols,
            escaping=_escaping(common, job, scheme),
            fallback=_fallback(job, where),
            is_compressed=job.enable_compression,
            body_bytes_max=(job.body_size_limit or common.body_size_limit).bytes,
            folder=folder,
        ),
        targets_max=job.target_limit or common.target_limit,
        dropped_kept_max=job.keep_dropped_targets or common.keep_dropped_targets,
        extra_report=_is_on(common.extra_scrape_metrics, job.extra_scrape_metrics, default=features.extra_report),
    )


def _histogram_rules(common: GlobalSettings, job: JobSettings, *, with_starts: bool) -> HistogramRules:
    classic = job.always_scrape_classic_histograms
    return HistogramRules(
        with_native=_is_on(common.scrape_native_histograms, job.scrape_native_histograms),
        with_classic=_is_on(
            common.always_scrape_classic_histograms, job.scrape_classic_histograms if classic is None else classic
        ),
        converts_classic=_is_on(common.convert_classic_histograms_to_nhcb, job.convert_classic_histograms_to_nhcb),
        with_starts=with_starts,
        schema_max=schema_of_factor(job.native_histogram_min_bucket_factor),
        buckets_max=job.native_histogram_bucket_limit,
    )


def _is_on(common: bool | None, own: bool | None, *, default: bool = False) -> bool:
    """A switch of a job, the global one where the job does not say, the default where neither does."""
    said = common if own is None else own
    return default if said is None else said


def _fallback(job: JobSettings, where: str) -> ExpositionFormat | None:
    if not job.fallback_scrape_protocol:
        return None
    try:
        return ExpositionFormat.of_protocol(job.fallback_scrape_protocol)
    except ValueError as error:
        raise UnsupportedSettingsError(f"{where}: fallback_scrape_protocol: {error}") from None
