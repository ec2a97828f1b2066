"""`label_replace` and `label_join`: labels change, values pass. Python works once per distinct text, not per series."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nunchi.model.labels import METRIC_NAME
from nunchi.model.matchers import compile_regex
from nunchi.model.symbols import LabelTable
from nunchi.query.operators import tables
from nunchi.query.operators.operator import Batch, Scope, VectorOperator
from nunchi.query.plan import nodes as plan

_REFERENCE = re.compile(r"\$(?:\$|(?P<plain>\w+)|\{(?P<braced>\w+)\})", re.ASCII)


class Template:
    """A replacement with `$1`, `${name}` and `$$`, as Go expands it: unknown references are empty."""

    def __init__(self, text: str, names: Mapping[str, int], groups: int) -> None:
        self._parts: list[str | int] = []
        begin = 0
        for reference in _REFERENCE.finditer(text):
            self._parts.append(text[begin : reference.start()])
            begin = reference.end()
            name = reference["plain"] or reference["braced"]
            group = int(name) if name and name.isdigit() else names.get(name or "", -1)
            self._parts.append("$" if name is None else group if 0 <= group <= groups else "")
        self._parts.append(text[begin:])

    def expand(self, group_of: Callable[[int], bytes | None]) -> str:
        """The text, with what a group found; a group that found nothing is empty."""
        return "".join(
            part if isinstance(part, str) else (group_of(part) or b"").decode("utf-8", "replace")
            for part in self._parts
        )


class LabelChange:
    """Sets one label of every series; the series that a change makes equal are somebody else's concern.

    A written metric name is meant to stay: it is not dropped at the end of the query.
    """

    def __init__(self, scope: Scope, child: VectorOperator, destination: str) -> None:
        self._scope = scope
        self._child = child
        self._destination = destination
        self._changes: NDArray[np.int32] | None = None

    def changes(self, table: LabelTable) -> NDArray[np.int32]:
        """int32[series]: the symbol of the new value, 0 for none, `LEAVE` where nothing changes."""
        raise NotImplementedError

    def _changed(self) -> NDArray[np.int32]:
        if self._changes is None:
            self._changes = self.changes(self._child.series())
        return self._changes

    def series(self) -> LabelTable:
        """See `VectorOperator.series`."""
        return tables.set_label(self._child.series(), self._destination, self._changed())

    def batches(self) -> Iterator[Batch]:
        """See `VectorOperator.batches`."""
        for batch in self._child.batches():
            if self._destination != METRIC_NAME or batch.drop_name is None:
                yield batch
                continue
            drops = batch.drop_name & (self._changed()[batch.series] == tables.LEAVE)
            yield replace(batch, drop_name=drops)


class LabelReplace(LabelChange):
    """`label_replace`: a label from what a regular expression finds in another."""

    def __init__(self, scope: Scope, node: plan.LabelReplace, child: VectorOperator) -> None:
        super().__init__(scope, child, node.destination)
        self._node = node

    def changes(self, table: LabelTable) -> NDArray[np.int32]:
        """See `LabelChange.changes`."""
        node, symbols = self._node, table.symbols
        regex = compile_regex(node.regex)
        template = Template(node.replacement, regex.groupindex, regex.groups)
        distinct, place_of = tables.numbered(tables.column(table, node.source))
        matches = [regex.match(text.encode()) for text in tables.texts(symbols, distinct)]  # text is slow to match
        matched = [place for place, found in enumerate(matches) if found is not None]
        results = np.full(len(distinct), tables.LEAVE, np.int32)
        results[matched] = symbols.intern_all([template.expand(matches[place].group) for place in matched])
        return results[place_of]


class LabelJoin(LabelChange):
    """`label_join`: a label from the values of others."""

    def __init__(self, scope: Scope, node: plan.LabelJoin, child: VectorOperator) -> None:
        super().__init__(scope, child, node.destination)
        self._node = node

    def changes(self, table: LabelTable) -> NDArray[np.int32]:
        """See `LabelChange.changes`."""
        node, symbols = self._node, table.symbols
        if not node.sources:
            return np.zeros(len(table), np.int32)
        columns = [tables.column(table, source) for source in node.sources]
        row_of, firsts = tables.group_columns(columns)
        words = []
        for column in columns:
            distinct, place_of = tables.numbered(column[firsts])
            words.append(map(tables.texts(symbols, distinct).__getitem__, place_of.tolist()))
        return symbols.intern_all(list(map(node.separator.join, zip(*words, strict=True))))[row_of]
