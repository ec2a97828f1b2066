"""`storage` of Prometheus's configuration file."""

from typing import Annotated, Literal

import msgspec

from nunchi.kit.settings import Duration, FieldError, WithoutEffect
from nunchi.kit.sizes import Size

PERCENT = 100.0


class RetentionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long, or how much, is kept; zero where it is not bounded this way."""

    time: Duration = Duration(0)
    size: Size = Size(0)
    percentage: Annotated[float, WithoutEffect("use time or size")] = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.percentage <= PERCENT:
            raise FieldError(f"{self.percentage:g} is not a percentage: use 0 to 100", "percentage")


class ChunkEncodingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of Prometheus's encodings."""

    floats: Annotated[Literal["xor", "xor2"], WithoutEffect("nunchi has encodings of its own")] = "xor"


class TsdbSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`storage.tsdb`."""

    out_of_order_time_window: Duration = Duration(0)
    stale_series_compaction_threshold: Annotated[
        float, WithoutEffect("when series that ended leave memory is decided by age")
    ] = 0.0
    chunk_encoding: ChunkEncodingSettings = ChunkEncodingSettings()
    retention: RetentionSettings = RetentionSettings()

    def __post_init__(self) -> None:
        if not 0 <= self.stale_series_compaction_threshold <= 1:
            raise FieldError("must be from 0 to 1", "stale_series_compaction_threshold")


class ExemplarSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`storage.exemplars`."""

    max_exemplars: int = 100_000


class StorageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`storage`."""

    tsdb: TsdbSettings = TsdbSettings()
    exemplars: ExemplarSettings = ExemplarSettings()
