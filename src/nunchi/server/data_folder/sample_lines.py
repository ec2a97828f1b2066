"""Samples as text lines: a series, a value, seconds. Values and times are written so that they read back the same.

A staleness marker is spelled `naN`: every reader takes it for NaN, nunchi's import for the marker that it is.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME, Labels, quote
from nunchi.model.names import NameScheme
from nunchi.model.staleness import STALE_BITS
from nunchi.query.kernels.render import format_number
from nunchi.server.data_folder.series import SeriesSamples
from nunchi.wire.histogram_text import format_histogram

STALE_TEXT = "naN"


def series_text(labels: Labels) -> str:
    """A series as OpenMetrics writes it; names beyond its letters are quoted."""
    name = labels.metric_name
    pairs = [f"{_name_text(key)}={quote(value)}" for key, value in labels.pairs if key != METRIC_NAME]
    if name and not NameScheme.LEGACY.is_metric_name(name):
        return "{" + ",".join([quote(name), *pairs]) + "}"
    return f"{name}{{{','.join(pairs)}}}" if pairs or not name else name


def _name_text(name: str) -> str:
    return name if NameScheme.LEGACY.is_label_name(name) else quote(name)


def time_texts(times: NDArray[np.int64]) -> list[str]:
    """Seconds with three digits behind the point."""
    return [f"{'-' if t < 0 else ''}{abs(t) // 1000}.{abs(t) % 1000:03d}" for t in times.tolist()]


def value_texts(samples: SeriesSamples) -> list[str]:
    """The value of each sample."""
    texts = list(map(format_number, samples.values.tolist()))
    for place in np.flatnonzero(samples.values.view(np.uint64) == STALE_BITS).tolist():
        texts[place] = STALE_TEXT
    if samples.histogram_of is not None and samples.histograms is not None:
        for place in np.flatnonzero(samples.histogram_of >= 0).tolist():
            number = int(samples.histogram_of[place])
            if samples.histograms.sums[number : number + 1].view(np.uint64)[0] == STALE_BITS:
                texts[place] = STALE_TEXT
            else:
                is_integer = bool(samples.histograms.is_integer[number])
                texts[place] = format_histogram(samples.histograms.histogram(number), is_integer=is_integer)
    return texts


def lines_of(samples: SeriesSamples) -> Iterator[str]:
    """A line for each sample."""
    text = series_text(samples.labels)
    for value, time in zip(value_texts(samples), time_texts(samples.times), strict=True):
        yield f"{text} {value} {time}\n"
