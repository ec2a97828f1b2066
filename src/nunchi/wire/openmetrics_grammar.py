"""Lines of OpenMetrics 1.0.0 text, one at a time, exactly as the specification's grammar has them. Pure syntax.

What lines mean together is in `openmetrics.py`. Invariant: what does not follow the grammar raises `ValueError` saying what
was expected; nothing is guessed.
"""

import re
from dataclasses import dataclass, field

EXEMPLAR_CHARACTERS_MAX = 128

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LABEL_VALUE = re.compile(r'"((?:[^"\\\n]|\\[^\n])*)"')
_REAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NUMBER = re.compile(rf"{_REAL.pattern}|[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
_DESCRIPTOR = re.compile(r"# (HELP|TYPE|UNIT) ([^ ]*) (.*)", re.DOTALL)
_HELP = re.compile(r"(?:[^\\]|\\.)*", re.DOTALL)
_UNIT = re.compile(r"[a-zA-Z0-9_:]*")
_ESCAPE = re.compile(r'\\([\\"n])')


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A TYPE, UNIT or HELP line; the text as it stands."""

    keyword: str
    family: str
    text: str


@dataclass(frozen=True, slots=True)
class SampleLine:
    """A sample as it stands on its line."""

    name: str
    labels: dict[str, str]
    value: float
    timestamp: float | None
    has_exemplar: bool


def parse_descriptor(line: str) -> Descriptor:
    """A line that begins with `#`; raises `ValueError`."""
    match = _DESCRIPTOR.fullmatch(line)
    if match is None:
        raise ValueError(
            "a line after # is HELP, TYPE or UNIT, a metric name and a text, with one space before each, or EOF"
        )
    keyword, family, text = match.groups()
    check_metric_name(family)
    if keyword == "HELP" and _HELP.fullmatch(text) is None:
        raise ValueError("a lone backslash ends the help text")
    if keyword == "UNIT" and _UNIT.fullmatch(text) is None:
        raise ValueError(f"the unit {text!r} has characters that no metric name has")
    return Descriptor(keyword, family, text)


def parse_sample(line: str) -> SampleLine:
    """The line of a sample; raises `ValueError`."""
    cursor = Cursor(line)
    name = cursor.match(_METRIC_NAME, "a metric name")
    check_metric_name(name)
    labels = cursor.labels() if cursor.peek() == "{" else {}
    cursor.take(" ", "one space and a value")
    value = cursor.number("the value")
    timestamp = None
    if cursor.peek() == " " and not cursor.is_at(" # "):
        cursor.take(" ", "a timestamp")
        timestamp = cursor.real("the timestamp")
    has_exemplar = cursor.peek() == " "
    if has_exemplar:
        _check_exemplar(cursor)
    cursor.end()
    return SampleLine(name, labels, value, timestamp, has_exemplar)


def parse_number(text: str) -> float:
    """A number as values and thresholds are written; raises `ValueError`."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def check_metric_name(name: str) -> None:
    """Raises `ValueError` for what is no metric name, or a reserved one."""
    if _METRIC_NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not a metric name")
    if name.startswith("_"):
        raise ValueError(f"metric names that begin with an underscore, as {name!r}, are reserved")


def _check_exemplar(cursor: "Cursor") -> None:
    cursor.take(" # ", "an exemplar: one space, #, one space, labels")
    labels = cursor.labels()
    if sum(len(name) + len(value) for name, value in labels.items()) > EXEMPLAR_CHARACTERS_MAX:
        raise ValueError(f"the labels of an exemplar have more than {EXEMPLAR_CHARACTERS_MAX} characters")
    cursor.take(" ", "one space and the exemplar's value")
    cursor.number("the exemplar's value")
    if cursor.peek() == " ":
        cursor.take(" ", "a timestamp")
        cursor.real("the exemplar's timestamp")


@dataclass(slots=True)
class Cursor:
    """A place in a line."""

    line: str
    at: int = field(default=0)

    def peek(self) -> str:
        """The next character, empty at the end."""
        return self.line[self.at : self.at + 1]

    def is_at(self, word: str) -> bool:
        """Whether this comes next."""
        return self.line.startswith(word, self.at)

    def take(self, word: str, expected: str) -> None:
        """Step over what must come next."""
        if not self.is_at(word):
            raise ValueError(f"{expected} is expected {self._place()}")
        self.at += len(word)

    def match(self, pattern: re.Pattern[str], expected: str) -> str:
        """Step over what must match next."""
        found = pattern.match(self.line, self.at)
        if found is None:
            raise ValueError(f"{expected} is expected {self._place()}")
        self.at = found.end()
        return found.group()

    def number(self, what: str) -> float:
        """A value up to the next space."""
        text = self._word()
        if _NUMBER.fullmatch(text) is None:
            raise ValueError(f"{what} {text!r} is not a number")
        return float(text)

    def real(self, what: str) -> float:
        """A timestamp up to the next space."""
        text = self._word()
        if _REAL.fullmatch(text) is None:
            raise ValueError(f"{what} {text!r} is not a finite number of seconds")
        return float(text)

    def labels(self) -> dict[str, str]:
        """Labels in braces."""
        self.take("{", "{")
        labels: dict[str, str] = {}
        while self.peek() != "}" or labels:
            name = self.match(_LABEL_NAME, "a label name")
            if name.startswith("__"):
                raise ValueError(f"label names that begin with two underscores, as {name!r}, are reserved")
            self.take("=", "=")
            quoted = self.match(_LABEL_VALUE, "a label value in double quotes")
            if name in labels:
                raise ValueError(f"the label {name!r} is given twice")
            labels[name] = _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], quoted[1:-1])
            if self.peek() == "}":
                break
            self.take(",", "a comma or }")
        self.take("}", "}")
        return labels

    def end(self) -> None:
        """Nothing may follow."""
        if self.at != len(self.line):
            raise ValueError(f"the end of the line is expected {self._place()}")

    def _word(self) -> str:
        begin = self.at
        end = self.line.find(" ", begin)
        self.at = len(self.line) if end < 0 else end
        return self.line[begin : self.at]

    def _place(self) -> str:
        return f"at character {self.at + 1}"
