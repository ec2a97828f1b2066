"""What the agent can be told about StatsD: where to listen, what to keep, how observations are shown, which names to map.

The `mapping` block is a statsd_exporter's mapping file; such a file is read as it is with `mapping_file`.
"""

import math
from typing import Literal

import msgspec

from nunchi.kit.durations import Duration
from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress, is_loopback
from nunchi.kit.settings import FieldError
from nunchi.model.histogram import SCHEMA_MAX, SCHEMA_MIN

BUCKETS_MAX = 200
BUCKET_FACTOR = 1.1
NATIVE_BUCKETS_MAX, NATIVE_BUCKETS_MIN, NATIVE_BUCKETS_MOST = 160, 10, 1000
QUANTILES_MAX = 50
AGES_MAX = 20
SERIES_MAX_MOST = 1_000_000

ObserverType = Literal["histogram", "summary"]
MatchType = Literal["glob", "regex"]
MatchMetricType = Literal["counter", "gauge", "observer", "timer", "set"]


class QuantileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One quantile; `error` is statsd_exporter's and not needed here: every value is known to 1.1 %."""

    quantile: float
    error: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.quantile <= 1:
            raise FieldError("a quantile lies between 0 and 1", "quantile")


class SummaryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Quantiles over the last `max_age`, which moves on in `age_buckets` steps. What is empty or 0 is as in `defaults`."""

    quantiles: tuple[QuantileSettings, ...] = ()
    max_age: Duration = Duration(0)
    age_buckets: int = 0
    buf_cap: int = 0

    def filled(self, defaults: "SummaryOptions") -> "SummaryOptions":
        """With the defaults' word where it says nothing itself."""
        return SummaryOptions(
            quantiles=self.quantiles or defaults.quantiles,
            max_age=self.max_age if self.max_age.ms else defaults.max_age,
            age_buckets=self.age_buckets or defaults.age_buckets,
            buf_cap=self.buf_cap or defaults.buf_cap,
        )

    def __post_init__(self) -> None:
        if not 0 <= self.age_buckets <= AGES_MAX:
            raise FieldError(f"1 to {AGES_MAX} steps", "age_buckets")
        if len(self.quantiles) > QUANTILES_MAX:
            raise FieldError(f"at most {QUANTILES_MAX} quantiles", "quantiles")


class HistogramOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How observations are counted: in a native histogram, or, where `buckets` are given and no factor, in a classic one.

    `buckets` are upper bounds, ascending, in seconds for timers; the last bucket, without bound, is implied. A native
    histogram's buckets are each at most `native_histogram_bucket_factor` times as wide as the one before; beyond
    `native_histogram_max_buckets` (0: 160) neighbours are merged.
    """

    buckets: tuple[float, ...] = ()
    native_histogram_bucket_factor: float = 0.0
    native_histogram_max_buckets: int = 0

    def __post_init__(self) -> None:
        if list(self.buckets) != sorted(set(self.buckets)) or len(self.buckets) > BUCKETS_MAX:
            raise FieldError(f"write up to {BUCKETS_MAX} bounds, each larger than the one before", "buckets")
        if self.native_histogram_bucket_factor and not 1 < self.native_histogram_bucket_factor <= 65536:
            raise FieldError("must be above 1, as in 1.1", "native_histogram_bucket_factor")
        buckets_max = self.native_histogram_max_buckets
        if buckets_max and not NATIVE_BUCKETS_MIN <= buckets_max <= NATIVE_BUCKETS_MOST:
            raise FieldError(
                f"must be between {NATIVE_BUCKETS_MIN} and {NATIVE_BUCKETS_MOST}", "native_histogram_max_buckets"
            )

    def filled(self, defaults: "HistogramOptions") -> "HistogramOptions":
        """With the defaults' word where it says nothing itself: bounds are not taken over where it gives a factor."""
        own = self.buckets or self.native_histogram_bucket_factor
        return HistogramOptions(
            buckets=self.buckets if own else defaults.buckets,
            native_histogram_bucket_factor=(
                self.native_histogram_bucket_factor if own else defaults.native_histogram_bucket_factor
            ),
            native_histogram_max_buckets=self.native_histogram_max_buckets or defaults.native_histogram_max_buckets,
        )

    @property
    def is_native(self) -> bool:
        """Whether buckets are exponential and open ended."""
        return not self.buckets or self.native_histogram_bucket_factor > 1

    @property
    def schema(self) -> int:
        """The coarsest schema whose buckets grow by no more than the factor."""
        factor = self.native_histogram_bucket_factor or BUCKET_FACTOR
        return min(SCHEMA_MAX, max(SCHEMA_MIN, -math.floor(math.log2(math.log2(factor)))))

    @property
    def native_buckets_max(self) -> int:
        """How many buckets a native histogram may have."""
        return self.native_histogram_max_buckets or NATIVE_BUCKETS_MAX


STANDARD_SUMMARY = SummaryOptions(
    quantiles=tuple(QuantileSettings(quantile=quantile) for quantile in (0.5, 0.9, 0.99)),
    max_age=Duration(600_000),
    age_buckets=5,
)


class MappingDefaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What holds for every name where its own rule says nothing else. `timer_type`, `buckets` and `quantiles` are
    statsd_exporter's older words for `observer_type` and for what stands in the options.
    """

    observer_type: ObserverType | None = None
    timer_type: ObserverType | None = None
    buckets: tuple[float, ...] = ()
    quantiles: tuple[QuantileSettings, ...] = ()
    histogram_options: HistogramOptions = HistogramOptions()
    summary_options: SummaryOptions = SummaryOptions()
    match_type: MatchType = "glob"
    ttl: Duration = Duration(3_600_000)
    glob_disable_ordering: bool = False

    def __post_init__(self) -> None:
        HistogramOptions(buckets=self.buckets)  # which checks them

    def observer(self) -> ObserverType:
        """As what observations are shown."""
        return self.observer_type or self.timer_type or "histogram"

    def histogram(self) -> HistogramOptions:
        """How they are counted, complete."""
        return self.histogram_options.filled(HistogramOptions(buckets=self.buckets))

    def summary(self) -> SummaryOptions:
        """Which quantiles are shown of which time, complete."""
        return self.summary_options.filled(SummaryOptions(quantiles=self.quantiles)).filled(STANDARD_SUMMARY)


class MappingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Names that match become `name` with `labels`, in which `$1` is what the first star, or group, has matched.

    What options leave open is as in `defaults`; the older words are those of `MappingDefaults`.
    """

    match: str
    name: str = ""
    labels: dict[str, str] = {}
    match_type: MatchType | None = None
    match_metric_type: MatchMetricType | None = None
    action: Literal["map", "drop"] = "map"
    observer_type: ObserverType | None = None
    timer_type: ObserverType | None = None
    histogram_options: HistogramOptions = HistogramOptions()
    summary_options: SummaryOptions = SummaryOptions()
    buckets: tuple[float, ...] = ()
    quantiles: tuple[QuantileSettings, ...] = ()
    ttl: Duration | None = None
    honor_labels: bool = False
    scale: float = 1.0
    help: str = ""

    def __post_init__(self) -> None:
        if self.action == "map" and not self.name:
            raise FieldError("write the name that matching metrics get, or action: drop", "name")
        HistogramOptions(buckets=self.buckets)  # which checks them
        if self.buckets and self.histogram_options.buckets:
            raise FieldError("give the bounds here or in histogram_options, not both", "buckets")
        if self.quantiles and self.summary_options.quantiles:
            raise FieldError("give the quantiles here or in summary_options, not both", "quantiles")


class MappingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping file: the first rule that matches counts, globs before regular expressions. With `glob_disable_ordering`
    of several globs the most specific one counts: from the left, a word before a star.
    """

    defaults: MappingDefaults = MappingDefaults()
    mappings: tuple[MappingRule, ...] = ()


class StatsdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of it. StatsD has no authentication: beyond loopback it listens only with `allow_remote`."""

    udp: tuple[str, ...] = ("127.0.0.1:8125",)
    tcp: tuple[str, ...] = ()
    unix_datagram: tuple[str, ...] = ()
    unix_stream: tuple[str, ...] = ()
    unix_mode: str = "660"
    allow_remote: bool = False
    reuse_port: bool = False
    receive_buffer_bytes: int = 4 << 20
    connections_max: int = 256
    series_max: int = 20_000
    signed_gauges: Literal["relative", "absolute"] = "relative"
    container_label: bool = False
    mapping: MappingSettings = MappingSettings()
    mapping_file: str = ""

    def __post_init__(self) -> None:
        for field, addresses in (("udp", self.udp), ("tcp", self.tcp)):
            for text in addresses:
                try:
                    host = ListenAddress.parse(text).host
                except InputError as error:
                    raise FieldError(str(error), field) from error
                if not (self.allow_remote or host == "localhost" or is_loopback(host)):
                    raise FieldError(
                        f"{text} can be reached from other machines and StatsD has no passwords:"
                        " write 127.0.0.1, or allow_remote: true",
                        field,
                    )
        if len(self.unix_mode) > 4 or not all(digit in "01234567" for digit in self.unix_mode) or not self.unix_mode:
            raise FieldError('must be an octal mode in quotes, as in "660"', "unix_mode")
        if not 1 <= self.series_max <= SERIES_MAX_MOST:
            raise FieldError(f"1 to {SERIES_MAX_MOST}", "series_max")
        if self.connections_max < 1:
            raise FieldError("1 is the least", "connections_max")
        if self.mapping_file and self.mapping.mappings:
            raise FieldError("give the rules here or in a file, not both", "mapping_file")
