"""From a body to the samples that a job's rules make of it: the reader of its format, then starts, conversion, resolution.

Invariant: numbers of series mean the same from body to body; `numbers_anew` says when a format would break that.
"""

from dataclasses import dataclass, replace

from nunchi.intake.scrape.errors import ScrapeLimitError
from nunchi.model.histogram import SCHEMA_MAX
from nunchi.wire.classic_histograms import ClassicConverter
from nunchi.wire.created_timestamps import CreatedTimestamps
from nunchi.wire.exposition import Exposition, ExpositionFormat, ExpositionReader
from nunchi.wire.histogram_resolution import TooManyBuckets, coarsen
from nunchi.wire.metric_families import FamilyReader


@dataclass(frozen=True, slots=True)
class HistogramRules:
    """What becomes of histograms and of start timestamps.

    with_native       native parts are read, where the format has them
    with_classic      classic histograms are kept beside what replaces them
    converts_classic  classic histograms become native ones with custom buckets
    with_starts       created timestamps become starts of samples
    """

    with_native: bool = False
    with_classic: bool = False
    converts_classic: bool = False
    with_starts: bool = False
    schema_max: int = SCHEMA_MAX
    buckets_max: int = 0


class Interpreter:
    """One target's. Not for two threads at once."""

    def __init__(self, rules: HistogramRules) -> None:
        self._rules = rules
        self._format: ExpositionFormat | None = None
        self._begin()

    def _begin(self) -> None:
        rules = self._rules
        self._texts = ExpositionReader()
        self._families = FamilyReader(with_native=rules.with_native, with_classic=rules.with_classic)
        self._created = CreatedTimestamps()
        self._converter = ClassicConverter(keeps_classic=rules.with_classic)

    def numbers_anew(self, exposition_format: ExpositionFormat) -> bool:
        """Whether a body of this format would give other numbers to series than those before it: another one is needed.

        Texts share a reader; where starts are taken out of one of them, they do not.
        """
        before = self._format
        if before is None or before is exposition_format:
            return False
        return self._rules.with_starts or ExpositionFormat.PROTOBUF in {before, exposition_format}

    def read(self, body: bytes, exposition_format: ExpositionFormat) -> Exposition:
        """The samples; raises `ExpositionError`, and `ScrapeLimitError` for histograms of too many buckets."""
        rules, self._format = self._rules, exposition_format
        if exposition_format is ExpositionFormat.PROTOBUF:
            exposition = self._families.read(body)
            if not rules.with_starts and exposition.starts is not None:
                exposition = replace(exposition, starts=None)
        else:
            exposition = self._texts.read(body, exposition_format)
            if rules.with_starts and exposition_format is ExpositionFormat.OPEN_METRICS:
                exposition = self._created.apply(exposition)
        if rules.converts_classic:
            exposition = self._converter.apply(exposition)
        return self._coarsened(exposition)

    def _coarsened(self, exposition: Exposition) -> Exposition:
        rules, histograms = self._rules, exposition.histograms
        if histograms is None or (rules.schema_max == SCHEMA_MAX and not rules.buckets_max):
            return exposition
        try:
            coarse = coarsen(histograms, rules.schema_max, rules.buckets_max)
        except TooManyBuckets as error:
            self._begin()  # nobody heard of what was new: it has to be new again
            raise ScrapeLimitError(f"native_histogram_bucket_limit exceeded: {error}") from None
        return exposition if coarse is histograms else replace(exposition, histograms=coarse)
