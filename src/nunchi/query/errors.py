"""What can go wrong with a query.

QueryError (InputError)          the query, not the server, is at fault
├── ParseError                   the text is no PromQL; has a position
├── ExecutionError               valid text that these samples or settings do not allow
│   ├── LimitError               a limit was hit; names it, its value and the flag that changes it
│   └── Unsupported              valid PromQL that this engine refuses, said before any sample is read
├── QueryTimeout                 the deadline passed
└── QueryCanceled                whoever asked has left
"""

from nunchi.kit.errors import InputError


def line_and_column(text: str, position: int) -> tuple[int, int]:
    """Line and column of an offset into a text, both from 1, columns in characters."""
    before = text[:position]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class QueryError(InputError):
    """A query that has no answer."""


class ParseError(QueryError):
    """Text that is not PromQL. `position` is the offset of the offending character in `text`."""

    def __init__(self, message: str, position: int = 0, text: str = "") -> None:
        self.message = message
        self.position = position
        self.line, self.column = line_and_column(text, position)
        super().__init__(f"{self.line}:{self.column}: parse error: {message}")


class ExecutionError(QueryError):
    """The samples do not allow an answer: duplicate label sets, ambiguous matches, parameters out of range."""


class Unsupported(ExecutionError):  # noqa: N818 (the caller reads: raise Unsupported(...))
    """Valid PromQL that this engine does not evaluate; the message names it."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(f"{what} is not supported{': ' + cure if cure else ''}")


class LimitError(ExecutionError):
    """A limit was hit."""

    def __init__(self, what: str, limit: str, value: float, flag: str) -> None:
        self.limit = limit
        self.value = value
        self.flag = flag
        cure = f"; narrow the query, or raise the limit with {flag}" if flag else "; narrow the query"
        super().__init__(f"{what} (limit {limit}: {value:g}){cure}")


class QueryTimeout(QueryError):  # noqa: N818 (the name that the API's error type has)
    """The deadline passed before the query was done."""


class QueryCanceled(QueryError):  # noqa: N818 (the name that the API's error type has)
    """The query was given up by whoever asked for it."""
