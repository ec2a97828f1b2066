"""What a server may be told about the bus from which it takes agents' payloads."""

from nunchi.kit.bus_settings import WORD, BusSettings
from nunchi.kit.durations import Duration
from nunchi.kit.settings import FieldError
from nunchi.kit.sizes import Size

REPLICAS = (1, 3, 5)
UNSETTLED_MAX_MOST = 10_000
BYTES_MIN = 1 << 20
SETTLE_SECONDS_MIN = 1.0


class BusReceiverSettings(BusSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`consumer` is shared by servers that share the work; `stream_bytes_max` bounds what waits for them.

    What a server has taken and not settled in `settle_time` is delivered again; each holds `unsettled_max` at most.
    """

    consumer: str = "servers"
    stream_bytes_max: Size = Size(1 << 30)
    replicas: int = 1
    unsettled_max: int = 256
    settle_time: Duration = Duration(30_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not WORD.fullmatch(self.consumer):
            raise FieldError(f'"{self.consumer}": letters, digits, "_" and "-"', "consumer")
        if self.replicas not in REPLICAS:
            raise FieldError("1, 3 or 5", "replicas")
        if self.stream_bytes_max.bytes < BYTES_MIN:
            raise FieldError("1MB is the least", "stream_bytes_max")
        if not 1 <= self.unsettled_max <= UNSETTLED_MAX_MOST:
            raise FieldError(f"1 to {UNSETTLED_MAX_MOST}", "unsettled_max")
        if self.settle_time.seconds < SETTLE_SECONDS_MIN:
            raise FieldError("1s is the least", "settle_time")
