"""The texts of warnings and infos, as Prometheus words them: scripts and people's tools compare them."""

from typing import Final

MIXED_KINDS: Final = 'encountered a mix of histograms and floats for metric name "{}"'
MIXED_KINDS_AGGREGATION: Final = "encountered a mix of histograms and floats for aggregation"
MIXED_SCHEMAS: Final = (
    'vector contains a mix of histograms with exponential and custom buckets schemas for metric name "{}"'
)
MIXED_SCHEMAS_AGGREGATION: Final = MIXED_SCHEMAS.format("")
MIXED_CLASSIC: Final = 'vector contains a mix of classic and native histograms for metric name "{}"'
NOT_COUNTER: Final = 'this native histogram metric is not a counter: "{}"'
NOT_GAUGE: Final = 'this native histogram metric is not a gauge: "{}"'
RESETS_COLLIDE: Final = "conflicting counter resets during histogram {}"
RECONCILED: Final = "mismatched custom buckets were reconciled during {}"
INCOMPATIBLE_BUCKETS: Final = "incompatible bucket layout encountered for binary operator {}"
INCOMPATIBLE_TYPES: Final = 'incompatible sample types encountered for binary operator "{0}": {1} {0} {2}'
IGNORED_IN_AGGREGATION: Final = "ignored histogram in {} aggregation"
IGNORED_IN_RANGE: Final = 'ignored histograms in a range containing both floats and histograms for metric name "{}"'
NAN_RESULT: Final = 'input to histogram_quantile has NaN observations, result is NaN for metric name "{}"'
NAN_SKEW: Final = 'input to histogram_quantile has NaN observations, result is skewed higher for metric name "{}"'
NAN_FRACTION: Final = (
    'input to histogram_fraction has NaN observations, which are excluded from all fractions for metric name "{}"'
)
START_OVERLAP: Final = 'sample has start time that overlaps with previous sample timestamp for metric "{}"'
MAYBE_NOT_COUNTER: Final = 'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{}"'
BAD_QUANTILE: Final = "quantile value should be between 0 and 1, got {}"
BAD_RATIO: Final = "ratio value should be between -1 and 1, got {}, capping to {}"
BAD_BUCKET: Final = 'bucket label "le" is missing or has a malformed value of "{}" for metric name "{}"'
SORT_IN_RANGE: Final = "sort is ineffective for range queries since results are always ordered by labels"
