"""`label_replace` and `label_join`: labels change, values pass. Python works once per distinct text, not per series."""

import re
from collections.abc import Iterator
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


def expand(template: str, groups: tuple[str | None, ...], named: dict[str, str | None]) -> str:
    """A replacement with `$1`, `${name}` and `$$` filled in, as Go expands it: unknown references are empty."""

    def fill(reference: re.Match[str]) -> str:
        name = reference["plain"] or reference["braced"]
        if name is None:
            return "$"
        if name.isdigit():
            return (groups[int(name)] or "") if int(name) < len(groups) else ""
        return named.get(name) or ""

    return _REFERENCE.sub(fill, template)


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
        sources = tables.column(table, node.source)
        distinct, source_of = np.unique(sources, return_inverse=True)
        results = np.full(len(distinct), tables.LEAVE, np.int32)
        for i, text in enumerate(tables.texts(symbols, distinct)):
            found = regex.match(text)
            if found is not None:
                groups = (found.group(0), *found.groups())
                results[i] = symbols.intern(expand(node.replacement, groups, found.groupdict()))
        return results[source_of]


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
        columns = np.stack([tables.column(table, source) for source in node.sources], axis=1)
        distinct, row_of = np.unique(columns, axis=0, return_inverse=True)
        joined = [symbols.intern(node.separator.join(tables.texts(symbols, row))) for row in distinct]
        return np.array(joined, np.int32)[row_of.reshape(-1)]
