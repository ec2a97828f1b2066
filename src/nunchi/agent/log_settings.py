"""How long the agent's own log file may get."""

import msgspec

from nunchi.kit.settings import FieldError

BYTES_MIN = 4096
FILES_MAX_MOST = 100


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of the file that `nunchi agent start` and `--log.file` write: its size, and how many are kept, itself among them."""

    bytes_max: int = 16 << 20
    files_max: int = 5

    def __post_init__(self) -> None:
        if self.bytes_max < BYTES_MIN:
            raise FieldError(f"must be at least {BYTES_MIN}", "bytes_max")
        if not 1 <= self.files_max <= FILES_MAX_MOST:
            raise FieldError(f"1 to {FILES_MAX_MOST}", "files_max")
