"""Remarks to whoever asked: warnings (the answer may not be what was meant) and infos. They never change the answer.

Invariant: a remark is kept once, however many series or steps caused it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from nunchi.query.errors import line_and_column

SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class Notice:
    """One remark about the part of the expression that begins at `position`; -1: about all of it."""

    text: str
    position: int
    is_warning: bool

    def render(self, expression: str) -> str:
        """The remark as Prometheus prints it, with line and column."""
        kind = "PromQL warning" if self.is_warning else "PromQL info"
        if self.position < 0:
            return f"{kind}: {self.text}"
        line, column = line_and_column(expression, self.position)
        return f"{kind}: {self.text} ({line}:{column})"


class Notices:
    """What one query has to remark, in the order of its first appearance."""

    def __init__(self) -> None:
        self._notices: dict[Notice, None] = {}

    def warn(self, text: str, position: int = -1) -> None:
        """Remark something that may make the answer wrong in the eyes of who asked."""
        self._notices[Notice(text, position, is_warning=True)] = None

    def inform(self, text: str, position: int = -1) -> None:
        """Remark something worth knowing."""
        self._notices[Notice(text, position, is_warning=False)] = None

    def __iter__(self) -> Iterator[Notice]:
        return iter(self._notices)

    def warnings(self, expression: str, shown_max: int = SHOWN_MAX) -> list[str]:
        """Rendered warnings; beyond `shown_max` (0: all) only their number."""
        return self._rendered(expression, shown_max, is_warning=True)

    def infos(self, expression: str, shown_max: int = SHOWN_MAX) -> list[str]:
        """Rendered infos; beyond `shown_max` (0: all) only their number."""
        return self._rendered(expression, shown_max, is_warning=False)

    def _rendered(self, expression: str, shown_max: int, *, is_warning: bool) -> list[str]:
        lines = [notice.render(expression) for notice in self._notices if notice.is_warning is is_warning]
        if shown_max and len(lines) > shown_max:
            word = "warning" if is_warning else "info"
            lines[shown_max:] = [f"{len(lines) - shown_max} more {word} annotations omitted"]
        return lines
