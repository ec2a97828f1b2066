"""A cloud configuration: which accounts are watched, where, and what of them.

Written by users, kept by the server, obeyed by agents.

It comes from outside, so the schema is closed: there is nothing in it that refers to an environment, a file or a command, and
no key. An account says under which name the agent's own settings know its credentials, and which role is assumed with them.
Invariant: what has passed here is bounded in all directions, and its patterns match in bounded time.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from nunchi.kit.durations import Duration
from nunchi.kit.settings import FieldError, load

TEXT_CHARACTERS_MAX = 1 << 20
ACCOUNTS_MAX = 200
REGIONS_MAX = 50
JOBS_MAX = 200
METRICS_MAX = 500
STATISTICS_MAX = 20
TAGS_MAX = 50
PATTERN_CHARACTERS_MAX = 200
REPETITIONS_MAX = 3
POINTS_MAX = 1440  # of one metric in one window
LOOK_BACK_MS_MAX = 7 * 24 * 3_600_000  # a server takes corrections so late, and no later
INTERVAL_MS_MIN = 10_000
RESOURCES_INTERVAL_MS_MIN = 300_000
DIMENSIONS_MAX = 30

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@ -]{0,63}")
REGION = re.compile(r"[a-z]{2,3}(-[a-z]{1,10}){1,3}-[0-9]{1,2}")
ROLE = re.compile(r"arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
NAMESPACE = re.compile(r"[A-Za-z0-9_.#:/-]{1,255}")
SIMPLE_STATISTICS = frozenset({"Average", "Sum", "Minimum", "Maximum", "SampleCount", "IQM"})
EXTENDED_STATISTIC = re.compile(
    r"(p|tm|wm|tc|ts)[0-9]{1,2}(\.[0-9]{1,10})?|p100|(TM|WM|TC|TS|PR)\([0-9.%]{0,12}:[0-9.%]{0,12}\)"
)
UNBOUNDED = re.compile(r"(?<!\\)(?:[*+]|\{[0-9]*,\})")
REPEATED_GROUP = re.compile(r"(?<!\\)\)(?:[*+{])|\\[1-9]|\(\?P=")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Api = Literal["data", "statistics"]


def check_count(field: str, found: Iterable[object], count_max: int, at_least: int = 0) -> None:
    """Raise FieldError where there are too many or too few."""
    count = len(list(found))
    if count > count_max:
        raise FieldError(f"{count} are too many: {count_max} at most", field)
    if count < at_least:
        raise FieldError(f"at least {at_least} is needed", field)


def check_period(period: Duration) -> None:
    """CloudWatch knows periods of 1, 5, 10, 30 seconds and multiples of a minute."""
    if period.ms not in {1_000, 5_000, 10_000, 30_000} and (period.ms < 60_000 or period.ms % 60_000):
        raise FieldError("a period is 1s, 5s, 10s, 30s or a multiple of 1m", "period")


def check_statistics(statistics: tuple[str, ...]) -> None:
    """Raise FieldError for what CloudWatch does not compute."""
    check_count("statistics", statistics, STATISTICS_MAX)
    for statistic in statistics:
        if statistic not in SIMPLE_STATISTICS and not EXTENDED_STATISTIC.fullmatch(statistic):
            known = ", ".join(sorted(SIMPLE_STATISTICS))
            raise FieldError(
                f"{statistic!r} is no statistic: write {known}, or one as p99, tm95, PR(100:500)", "statistics"
            )


def check_pattern(pattern: str, *steps: str) -> None:
    """A regular expression that cannot be made to match for ever: no repeated groups, few unbounded repetitions."""
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise FieldError(f"a pattern has {PATTERN_CHARACTERS_MAX} characters at most", *steps)
    if REPEATED_GROUP.search(pattern) or len(UNBOUNDED.findall(pattern)) > REPETITIONS_MAX:
        raise FieldError(
            f"a pattern repeats no groups, refers to none, and has {REPETITIONS_MAX} of * and + at most", *steps
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise FieldError(f"{pattern!r} is not a valid regular expression: {error}", *steps) from error


class MetricSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One metric; what is not said here is as its job says."""

    name: Name
    statistics: tuple[str, ...] = ()
    period: Duration | None = None
    delay: Duration | None = None
    look_back: Duration | None = None
    nil_to_zero: bool | None = None

    def __post_init__(self) -> None:
        check_statistics(self.statistics)
        if self.period is not None:
            check_period(self.period)


class MetricsJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Metrics of one namespace.

    `dimensions` names one series exactly and spares its discovery; without it all series are found. `dimension_names` keeps
    the series that have exactly these dimensions. `tag_filters` keeps those whose resource has these tags, `tag_labels` puts
    tags on the series. `delay` is how long values are let ripen, `look_back` how far each round looks for corrected ones.
    """

    namespace: str
    metrics: tuple[MetricSettings, ...]
    statistics: tuple[str, ...] = ("Average",)
    period: Duration = Duration(300_000)
    delay: Duration = Duration(300_000)
    look_back: Duration = Duration(900_000)
    interval: Duration | None = None
    dimensions: dict[str, str] = {}
    dimension_names: tuple[str, ...] = ()
    tag_filters: dict[str, str] = {}
    tag_labels: tuple[str, ...] = ()
    recently_active: bool = True
    nil_to_zero: bool = False
    api: Api = "data"

    def __post_init__(self) -> None:
        if not NAMESPACE.fullmatch(self.namespace):
            raise FieldError(f"{self.namespace!r} is no namespace: write one as in AWS/EC2", "namespace")
        check_count("metrics", self.metrics, METRICS_MAX, at_least=1)
        check_count("dimensions", self.dimensions, DIMENSIONS_MAX)
        check_count("dimension_names", self.dimension_names, DIMENSIONS_MAX)
        check_count("tag_filters", self.tag_filters, TAGS_MAX)
        check_count("tag_labels", self.tag_labels, TAGS_MAX)
        check_statistics(self.statistics)
        check_period(self.period)
        if not self.statistics:
            raise FieldError("at least one statistic is needed, as in [Average]", "statistics")
        for tag, pattern in self.tag_filters.items():
            check_pattern(pattern, "tag_filters", tag)
        if self.interval is not None and self.interval.ms < INTERVAL_MS_MIN:
            raise FieldError("10s is the shortest interval", "interval")
        for metric in self.metrics:
            period = metric.period or self.period
            look_back = metric.look_back or self.look_back
            if look_back.ms > LOOK_BACK_MS_MAX:
                raise FieldError("7d is the longest look_back", "look_back")
            if look_back.ms > POINTS_MAX * period.ms:
                raise FieldError(f"more than {POINTS_MAX} periods are looked back: shorten look_back", "look_back")


class ResourcesJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The inventory: how often it is taken, and which namespaces' resources beside those whose metrics are collected."""

    interval: Duration = Duration(RESOURCES_INTERVAL_MS_MIN)
    namespaces: tuple[str, ...] = ()
    tag_labels: tuple[str, ...] = ()
    describe: bool = True

    def __post_init__(self) -> None:
        if self.interval.ms < RESOURCES_INTERVAL_MS_MIN:
            raise FieldError("5m is the shortest interval of an inventory", "interval")
        check_count("namespaces", self.namespaces, JOBS_MAX)
        check_count("tag_labels", self.tag_labels, TAGS_MAX)


class AwsAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One account of AWS in some regions. Without `credentials` the agent's own surroundings give them (instance role)."""

    name: str
    regions: tuple[str, ...]
    enabled: bool = True
    credentials: str = ""
    role_arn: str = ""
    external_id: str = ""
    metrics: tuple[MetricsJob, ...] = ()
    resources: ResourcesJob = ResourcesJob()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise FieldError(f"{self.name!r}: a name has letters, digits, and _ . @ - between them", "name")
        if self.credentials and not NAME.fullmatch(self.credentials):
            raise FieldError("write the name under which the agent's settings know the credentials", "credentials")
        if self.role_arn and not ROLE.fullmatch(self.role_arn):
            raise FieldError("write a role as in arn:aws:iam::123456789012:role/monitoring", "role_arn")
        if self.external_id and not (self.role_arn and EXTERNAL_ID.fullmatch(self.external_id)):
            raise FieldError(
                "an external id belongs to a role_arn, and has letters, digits and +=,.@:/-", "external_id"
            )
        check_count("regions", self.regions, REGIONS_MAX, at_least=1)
        check_count("metrics", self.metrics, JOBS_MAX)
        for region in self.regions:
            if not REGION.fullmatch(region):
                raise FieldError(f"{region!r} is no region: write one as in eu-west-1", "regions")
        if len(set(self.regions)) < len(self.regions):
            raise FieldError("a region stands there twice", "regions")


class CloudConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole document, one field a provider."""

    aws: tuple[AwsAccount, ...] = ()

    def __post_init__(self) -> None:
        check_count("aws", self.aws, ACCOUNTS_MAX)
        names = [account.name for account in self.aws]
        if len(set(names)) < len(names):
            raise FieldError("two accounts have one name: names tell them apart", "aws")


def parse_cloud_configuration(text: str, path: str) -> CloudConfiguration:
    """The configuration in a YAML or JSON text; `path` is for messages. Raises SettingsError with place and cure."""
    return load(CloudConfiguration, text[:TEXT_CHARACTERS_MAX], path)
