"""Strings as small integers, and label sets of many series as arrays of them.

The read side works on these: grouping, matching and sorting compare integers, and a `Labels` object is made only for
what is shown. All label tables of one query share one `Symbols`, so that equal ids mean equal texts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.kernels import texts as kernel
from nunchi.model.labels import Labels

# Sorting more in one go keeps the interpreter from everybody else: a kernel does it.
TEXTS_AT_ONCE_MAX = 4096


class Symbols:
    """Interned strings of one query (or one store). Id 0 is the empty string. Ids are never reused."""

    def __init__(self) -> None:
        self._texts = [""]
        self._ids = {"": 0}

    def intern(self, text: str) -> int:
        """The id of a text, new where it was not seen before."""
        found = self._ids.get(text)
        if found is None:
            found = self._ids[text] = len(self._texts)
            self._texts.append(text)
        return found

    def intern_all(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """int32[len(texts)]: the id of each."""
        known, ids = self._ids, []
        for text in texts:
            found = known.get(text)
            if found is None:
                found = known[text] = len(self._texts)
                self._texts.append(text)
            ids.append(found)
        return np.array(ids, np.int32)

    def take_over(self, other: "Symbols") -> None:
        """Every text of another under the same id; only while nothing was interned here."""
        assert len(self) == 1, "symbols that know texts cannot take others over"
        self._texts, self._ids = other._texts.copy(), other._ids.copy()  # noqa: SLF001 (another of this kind)

    def find(self, text: str) -> int | None:
        """The id of a text that was interned, else None."""
        return self._ids.get(text)

    def text(self, symbol: int) -> str:
        """The text of an id."""
        return self._texts[symbol]

    @property
    def texts(self) -> Sequence[str]:
        """All texts, in the order of their ids."""
        return self._texts

    def __len__(self) -> int:
        return len(self._texts)


def rank_texts(texts: Sequence[str]) -> NDArray[np.int32]:
    """int32[len(texts)]: the place of each, all of them distinct, in the order of texts."""
    ranks = np.empty(len(texts), np.int32)
    if len(texts) < TEXTS_AT_ONCE_MAX:
        ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts), dtype=np.int32)
        return ranks
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    kernel.rank(b"".join(encoded), offsets, ranks)
    return ranks


@dataclass(frozen=True, slots=True, eq=False)
class LabelTable:
    """The label sets of `len(offsets) - 1` series: series `i` has the pairs `offsets[i]` to `offsets[i + 1]`.

    names, values  int32[pairs], ids of `symbols`; within a series sorted by the *text* of the name, values never empty
    offsets        int64[series + 1]
    """

    symbols: Symbols
    names: NDArray[np.int32]
    values: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, symbols: Symbols, series: Iterable[Labels]) -> "LabelTable":
        """A table of these label sets, in their order. Costs Python work per pair: for few series, or new ones."""
        names: list[int] = []
        values: list[int] = []
        offsets = [0]
        for labels in series:
            for name, value in labels.pairs:
                names.append(symbols.intern(name))
                values.append(symbols.intern(value))
            offsets.append(len(names))
        return cls(symbols, np.array(names, np.int32), np.array(values, np.int32), np.array(offsets, np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def labels(self, series: int) -> Labels:
        """The label set of one series, for people."""
        begin, end = self.offsets[series], self.offsets[series + 1]
        text = self.symbols.text
        return Labels(
            (text(name), text(value))
            for name, value in zip(self.names[begin:end].tolist(), self.values[begin:end].tolist(), strict=True)
        )

    def take(self, series: NDArray[np.int64]) -> "LabelTable":
        """The table of some series, in the order given."""
        begins = self.offsets[series]
        counts = self.offsets[series + 1] - begins
        offsets = np.zeros(len(series) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        pairs = np.arange(offsets[-1], dtype=np.int64) + np.repeat(begins - offsets[:-1], counts)
        return LabelTable(self.symbols, self.names[pairs], self.values[pairs], offsets)
