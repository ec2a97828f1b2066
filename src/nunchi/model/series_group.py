"""Layouts: the ordered columns of a series group, that is, of series that are seen arriving together.

A scrape keeps one layout a target, remote write one for all that it has ever seen. A store remembers beside a layout which
of its own series each column is, so that in steady state an arrival costs an array look-up and no label work.
Invariant: columns are only ever added at the end; a column's labels never change.
"""

from array import array
from collections.abc import Iterator

from nunchi.model.labels import Labels


class Layout:
    """Label keys by column, in one arena: about the keys' own bytes and 8 more a column."""

    __slots__ = ("__weakref__", "_ends", "_keys")

    def __init__(self) -> None:
        self._keys = bytearray()
        self._ends = array("q")

    @classmethod
    def of(cls, *series: Labels) -> "Layout":
        """A layout of these columns."""
        layout = cls()
        for labels in series:
            layout.append(labels.key())
        return layout

    def append(self, key: bytes) -> int:
        """Add a column for a label key (see `model.labels`) and return its number. The caller avoids duplicates."""
        self._keys += key
        self._ends.append(len(self._keys))
        return len(self._ends) - 1

    def key(self, column: int) -> bytes:
        """The label key of a column."""
        begin = self._ends[column - 1] if column else 0
        return bytes(self._keys[begin : self._ends[column]])

    def keys_from(self, column: int) -> tuple[bytes, "array[int]"]:
        """The label keys from `column` on, one after the other, and where each begins; the last entry is the end."""
        begin = self._ends[column - 1] if column else 0
        return bytes(self._keys[begin:]), array("q", [0, *(end - begin for end in self._ends[column:])])

    def labels(self, column: int) -> Labels:
        """The labels of a column."""
        return Labels.from_key(self.key(column))

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Labels]:
        return (self.labels(column) for column in range(len(self)))
