"""What a session's columns stand for: series, or parts of histograms, as an agent has announced them.

Invariant: a dictionary only grows, within its bounds; what stands in it is a label key, or a part of one's histogram.
"""

from collections.abc import Sequence
from itertools import pairwise

from nunchi.intake.receive.pack_histograms import PartColumns
from nunchi.wire.errors import WireError
from nunchi.wire.pack import SERIES_MAX
from nunchi.wire.payload import PayloadLayout

KEY_BYTES_MAX = 64 << 20


class PackDictionary:
    """Columns by number, and the layout made of their series the last time a round was stored."""

    def __init__(self, parts: PartColumns | None = None) -> None:
        """With `parts` it is one of parts of histograms."""
        self.parts = parts
        self._series: list[bytes] = parts.series if parts is not None else []
        self._known: set[bytes] = set()
        self._key_bytes = 0
        self._layout: PayloadLayout | None = None

    def __len__(self) -> int:
        return len(self._known)

    def add(self, keys: Sequence[bytes]) -> None:
        """The next columns. Raises WireError."""
        length = len(self) + len(keys)
        self._key_bytes += sum(map(len, keys))
        if length > SERIES_MAX or self._key_bytes > KEY_BYTES_MAX:
            raise WireError("pack: a dictionary with too many series")
        self._known.update(keys)
        if len(self) < length:
            raise WireError("pack: a dictionary with a series twice")
        if self.parts is None:
            for key in keys:
                check_key(key)
            self._series += keys
        else:
            for key in self.parts.add(keys):
                check_key(key)

    def current_layout(self) -> PayloadLayout:
        """All series known now."""
        if self._layout is None or len(self._layout.keys) != len(self._series):
            self._layout = PayloadLayout(tuple(self._series), self._key_bytes)
        return self._layout


def check_key(key: bytes) -> None:
    """A label key names its labels, sorted, once each, and is UTF-8. Raises WireError."""
    words = key.split(b"\xff")
    if words.pop() or not words or len(words) % 2 or not all(words):
        raise WireError("pack: the labels of a series are damaged")
    names = words[::2]
    if any(name >= following for name, following in pairwise(names)) or b"__name__" not in names:
        raise WireError("pack: the labels of a series are not sorted, or have no metric name")
    try:
        key.replace(b"\xff", b"").decode()
    except UnicodeDecodeError:
        raise WireError("pack: the labels of a series are not valid UTF-8") from None
