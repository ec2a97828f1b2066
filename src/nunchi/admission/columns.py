"""Which column of a layout has a label key, at 8 bytes a column: hashes in an array instead of a dictionary of keys.

Invariant: a layout that grows through its `ColumnIndex` alone has no key twice.
"""

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nunchi.model.series_group import Layout


class ColumnIndex:
    """Finds columns by key and appends what is new. A look-up scans hashes, so ask for many keys at once, and rarely."""

    __slots__ = ("_hashes", "layout")

    def __init__(self, layout: Layout) -> None:
        assert len(layout) == 0, "the index must see every column come"
        self.layout = layout
        self._hashes = array("q")

    def columns(self, keys: Sequence[bytes]) -> list[int]:
        """The column of each key, new ones at the end of the layout."""
        known = self._known(keys)
        added: dict[bytes, int] = {}
        columns = []
        for position, key in enumerate(keys):
            column = known.get(position, -1)
            if column < 0:
                column = added.get(key, -1)
            if column < 0:
                column = added[key] = self.layout.append(key)
                self._hashes.append(hash(key))
            columns.append(column)
        return columns

    def _known(self, keys: Sequence[bytes]) -> dict[int, int]:
        """Position in `keys` → column, for those the layout has already."""
        if not self._hashes or not keys:
            return {}
        have: NDArray[np.int64] = np.frombuffer(self._hashes, np.int64).copy()
        want = np.fromiter((hash(key) for key in keys), np.int64, len(keys))
        hits = np.flatnonzero(np.isin(want, have))
        found: dict[int, int] = {}
        for position in hits.tolist():
            for column in np.flatnonzero(have == want[position]).tolist():
                if self.layout.key(column) == keys[position]:
                    found[position] = column
        return found
