"""The slow obvious reading of expositions, for comparison: character by character, one line after the other."""

import math
import re
import struct

from nunchi.model.staleness import NORMAL_NAN_BITS

Cell = tuple[tuple[tuple[str, str], ...], int, int | None]
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)|nan", re.IGNORECASE)
TEXT_TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
OPEN_TYPES = {"counter", "gauge", "histogram", "summary", "unknown", "gaugehistogram", "info", "stateset"}


class RefusedError(Exception):
    pass


def go_float(text: str) -> float:
    if NUMBER.fullmatch(text) is None or not text.isascii():
        raise RefusedError(text)
    value = float(text)
    if math.isinf(value) and "n" not in text.lower():
        raise RefusedError(text)
    return value


def bits_of(value: float) -> int:
    return NORMAL_NAN_BITS if math.isnan(value) else struct.unpack("<Q", struct.pack("<d", value))[0]


def unescape(text: str, escapes: str) -> str:
    out, at = [], 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text) and text[at + 1] in escapes:
            out.append("\n" if text[at + 1] == "n" else text[at + 1])
            at += 2
        else:
            out.append(text[at])
            at += 1
    try:
        return "".join(out).encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError:
        raise RefusedError("utf-8") from None


class Twin:
    """Reads bytes as text whose undecodable bytes are surrogates, so that positions stay simple."""

    def __init__(self, body: bytes, strict: bool) -> None:
        self.text = body.decode("utf-8", "surrogateescape")
        self.at = 0
        self.strict = strict
        self.canonical = ""
        self.cells: list[Cell] = []
        self.help: dict[str, str] = {}
        self.repeated: set[str] = set()
        self.types: dict[str, str] = {}

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def blanks(self) -> None:
        while not self.strict and self.peek() in {" ", "\t"}:
            self.at += 1

    def take(self, word: str) -> None:
        if not self.text.startswith(word, self.at):
            raise RefusedError(f"{word} at {self.at}")
        self.at += len(word)

    def quoted(self, one_line: bool) -> str:
        self.take('"')
        begin = self.at
        while True:
            character = self.peek()
            if not character or (character == "\n" and one_line):
                raise RefusedError("unclosed")
            if character == "\\":
                if self.text[self.at + 1 : self.at + 2] in {"", "\n"}:
                    raise RefusedError("escape")
                self.at += 1
            elif character == '"':
                self.at += 1
                return unescape(self.text[begin : self.at - 1], '\\"n')
            self.at += 1

    def match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise RefusedError(f"{pattern.pattern} at {self.at}")
        self.at = found.end()
        return found.group()

    def labels(self, exemplar: bool = False) -> list[tuple[str, str]]:
        pairs = []
        while True:
            self.blanks()
            if self.peek() == "}":
                self.at += 1
                return pairs
            is_quoted = self.peek() == '"'
            name = self.quoted(exemplar) if is_quoted else self.match(LABEL_NAME)
            if not name and not exemplar:
                raise RefusedError("empty name")
            self.blanks()
            if is_quoted and not exemplar and self.peek() in {",", "}"}:
                pairs.append(("__name__", name))
                if self.peek() == ",":
                    self.at += 1
                continue
            self.take("=")
            self.blanks()
            pairs.append((name, self.quoted(self.strict)))
            self.blanks()
            if self.peek() == ",":
                self.at += 1
            elif self.strict and self.peek() != "}":
                raise RefusedError("comma")

    def rest_of_line(self) -> str:
        end = self.text.find("\n", self.at)
        found = self.text[self.at : end if end >= 0 else len(self.text)]
        self.at += len(found)
        return found

    def sample(self) -> None:
        begin = self.at
        has_plain_name = self.peek() != "{"
        pairs = [("__name__", self.match(NAME))] if has_plain_name else []
        resume = self.at
        self.blanks()
        if self.peek() == "{":
            self.at += 1
            pairs += self.labels()
        else:
            self.at = resume
        named = [pair for pair in pairs if pair[0] == "__name__"]
        names = [name for name, value in pairs if value]
        if not named or not named[0][1] or len(set(names)) != len(names):
            raise RefusedError(f"names at {begin}")
        if not has_plain_name and not any(pair[0] == "__name__" for pair in pairs):
            raise RefusedError("no name")
        value, timestamp = self.strict_numbers() if self.strict else self.numbers()
        canonical = [
            (name, self.canonicalise(text) if name == self.canonical and name else text) for name, text in pairs if text
        ]
        self.cells.append((tuple(sorted(canonical)), bits_of(value), timestamp))

    def canonicalise(self, text: str) -> str:
        try:
            value = go_float(text)
        except RefusedError:
            return text
        if math.isnan(value) or math.isinf(value):
            return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
        mantissa, _, exponent = f"{value!r}".partition("e")
        if not exponent and (value == 0 or 1e-4 <= abs(value) < 1e6):
            return mantissa
        return next(text for digits in range(17) if float(text := f"{value:.{digits}e}") == value)

    def numbers(self) -> tuple[float, int | None]:
        fields = self.rest_of_line().replace("\t", " ").split(" ")
        fields = [field for field in fields if field]
        if not 1 <= len(fields) <= 2:
            raise RefusedError("fields")
        if len(fields) == 1:
            return go_float(fields[0]), None
        if not re.fullmatch("[0-9]+", fields[1], re.ASCII) or int(fields[1]) >= 1 << 63:
            raise RefusedError("timestamp")
        return go_float(fields[0]), int(fields[1])

    def strict_field(self) -> float:
        self.take(" ")
        begin = self.at
        while self.peek() not in {" ", "\n", ""}:
            self.at += 1
        if not self.peek():
            raise RefusedError("cut off")
        return go_float(self.text[begin : self.at])

    def strict_seconds(self) -> int:
        seconds = self.strict_field()
        if not -9.2e15 < seconds < 9.2e15:
            raise RefusedError("timestamp")
        return int(seconds * 1000)

    def strict_numbers(self) -> tuple[float, int | None]:
        value, timestamp = self.strict_field(), None
        if self.peek() == " " and not self.text.startswith(" # ", self.at):
            timestamp = self.strict_seconds()
        if self.peek() == " ":
            self.take(" # {")
            self.labels(exemplar=True)
            self.strict_field()
            if self.peek() == " ":
                self.strict_seconds()
        if self.peek() != "\n":
            raise RefusedError("line end")
        return value, timestamp

    def metadata(self, line: str) -> None:
        gap = " " if self.strict else "[ \t]+"
        found = re.match(
            rf'#{gap}(HELP|TYPE|UNIT){gap}(?:([a-zA-Z_:][a-zA-Z0-9_:]*)|"((?:[^"\\]|\\.)*)")', line, re.DOTALL
        )
        if found is None:
            raise RefusedError(line)
        keyword, name, quoted_name = found.groups()
        name = unescape(name or quoted_name, '\\"n')
        rest = line[found.end() :]
        if self.strict and not rest.startswith(" "):
            raise RefusedError(line)
        rest = rest[1:]
        if name in {"HELP": self.help, "TYPE": self.types}.get(keyword, {}):
            self.repeated.add(name)
        if keyword == "HELP":
            self.help[name] = unescape(rest, '\\"n' if self.strict else "\\n")
        elif keyword == "TYPE":
            if rest not in (OPEN_TYPES if self.strict else TEXT_TYPES):
                raise RefusedError(rest)
            self.types[name] = rest
            self.canonical = {"histogram": "le", "summary": "quantile"}.get(rest, "")
        elif rest and not name.endswith("_" + unescape(rest, '\\"n')):
            raise RefusedError(rest)

    def read(self) -> "Twin":
        while self.at < len(self.text):
            if self.strict and self.text[self.at :] in {"# EOF", "# EOF\n"}:
                return self
            self.blanks()
            if not self.strict and self.peek() in {"", "\n"}:
                self.at += 1
                continue
            if self.peek() == "#":
                line = self.rest_of_line()
                is_metadata = re.match(r"# (HELP|TYPE|UNIT) " if self.strict else r"#[ \t]+(HELP|TYPE)[ \t]", line)
                if is_metadata:
                    self.metadata(line)
                elif self.strict:
                    raise RefusedError(line)
            else:
                self.sample()
            self.at += 1
        if self.strict:
            raise RefusedError("no EOF")
        return self
