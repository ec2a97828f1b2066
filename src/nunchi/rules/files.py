"""Rule files: YAML in Prometheus's form to frozen structs, every expression and template parsed, every error with its place.

Which experimental parts of PromQL an expression may use, and which functions besides PromQL's own, the caller says.
Invariant: what `load_rule_file` returns evaluates without any further check of its text.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nunchi.kit.durations import Duration
from nunchi.kit.path_patterns import find_paths, has_wildcard
from nunchi.kit.settings import FieldError, SettingsError, load
from nunchi.kit.settings.errors import Place
from nunchi.kit.settings.loading import read_text
from nunchi.kit.template.errors import TemplateParseError
from nunchi.model.labels import METRIC_NAME
from nunchi.query.errors import ParseError, line_and_column
from nunchi.query.syntax import STABLE, ParserSettings, parse
from nunchi.rules.templates import parse_template

FILES_MAX = 10_000


class ExpressionFieldError(FieldError):
    """An expression that does not parse; remembers where inside of its text."""

    def __init__(self, error: ParseError, text: str, *steps: str | int) -> None:
        super().__init__(f"{steps[-1]}: {error.message}", *steps)
        self.line, self.column = line_and_column(text, min(error.position, len(text.rstrip())))


class RuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule: `record` or `alert`."""

    expr: str = ""
    record: str = ""
    alert: str = ""
    hold: Duration | None = msgspec.field(default=None, name="for")
    keep_firing_for: Duration | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """See the module's invariant."""
        if bool(self.record) == bool(self.alert):
            what = "has both record and alert: keep one" if self.record else "has neither record nor alert: name one"
            raise FieldError(f"the rule {what}", "record" if self.record else "")
        if not self.expr.strip():
            raise FieldError("expr is missing: write the rule's expression", "expr")
        if self.record:
            self._check_recording()
        _check_labels(self.labels)
        _check_annotations(self.annotations)
        if self.alert:
            _check_templates("labels", self.labels)
            _check_templates("annotations", self.annotations)

    def _check_recording(self) -> None:
        for key, value in (
            ("annotations", self.annotations),
            ("for", self.hold),
            ("keep_firing_for", self.keep_firing_for),
        ):
            if value:
                raise FieldError(f"{key} belongs to alerting rules: remove it, or use alert instead of record", key)
        if any(character in "{}" for character in self.record):
            raise FieldError(f'"{self.record}" is not a metric name: put labels under labels:', "record")


class RuleGroupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules evaluated together, in order. A `limit` of 0 or less is none.

    Where `interval` is None or 0s, or `query_offset` None, the global one counts.
    """

    name: str = ""
    interval: Duration | None = None
    query_offset: Duration | None = None
    limit: int = 0
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    rules: tuple[RuleSettings, ...] = ()

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        if not self.name:
            raise FieldError("the group has no name: give it one", "name")
        _check_labels(self.labels)


class RuleFileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    groups: tuple[RuleGroupSettings, ...] = ()

    def __post_init__(self) -> None:
        """Group names are unique within a file."""
        seen: set[str] = set()
        for place, group in enumerate(self.groups):
            if group.name in seen:
                raise FieldError(f'the file has two groups named "{group.name}": rename one', "groups", place, "name")
            seen.add(group.name)

    def check_expressions(self, parser: ParserSettings) -> None:
        """Whether every expression is PromQL; raises `ExpressionFieldError`."""
        for place, group in enumerate(self.groups):
            for number, rule in enumerate(group.rules):
                try:
                    parse(rule.expr, parser)
                except ParseError as error:
                    raise ExpressionFieldError(error, rule.expr, "groups", place, "rules", number, "expr") from error


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A loaded file and where it came from."""

    path: str
    groups: tuple[RuleGroupSettings, ...]


def parse_rule_file(
    text: str, path: str, parser: ParserSettings = STABLE, *, ignores_unknown: bool = False
) -> RuleFile:
    """The rules of a text; raises `SettingsError` at the place of the fault, inside of expressions too."""

    def check(settings: RuleFileSettings) -> None:
        settings.check_expressions(parser)

    try:
        settings = load(RuleFileSettings, text, path, check=check, ignores_unknown=ignores_unknown)
        return RuleFile(path, settings.groups)
    except SettingsError as error:
        cause = error.__cause__
        if not isinstance(cause, ExpressionFieldError) or error.place is None:
            raise
        place = _place_inside(text, error.place, cause.line, cause.column)
        raise SettingsError(path, place, error.message) from cause


def load_rule_file(path: Path, parser: ParserSettings = STABLE, *, ignores_unknown: bool = False) -> RuleFile:
    """The rules of a file; a file that cannot be read is a `SettingsError` too."""
    return parse_rule_file(read_text(path), str(path), parser, ignores_unknown=ignores_unknown)


def find_rule_files(patterns: Iterable[str], folder: Path) -> list[Path]:
    """The files that the patterns of `rule_files:` mean, sorted within a pattern, each once; relative to `folder`.

    Files that do not exist are passed over, as Prometheus does; `missing_rule_files` names them. Raises ValueError for a
    malformed pattern, of which `kit.path_patterns.check_pattern` warns.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        found.update(dict.fromkeys(find_paths(pattern, folder)))
        if len(found) > FILES_MAX:
            raise SettingsError(pattern, None, f"more than {FILES_MAX} rule files: narrow the patterns of rule_files")
    return list(found)


def missing_rule_files(patterns: Iterable[str], folder: Path) -> list[Path]:
    """The files that `rule_files:` names without a wildcard and that do not exist."""
    plain = [folder / pattern for pattern in patterns if not has_wildcard(pattern)]
    return [path for path in plain if not path.exists()]


def load_rule_files(patterns: Iterable[str], folder: Path, parser: ParserSettings = STABLE) -> tuple[RuleFile, ...]:
    """All files of `rule_files:`; raises `SettingsError` for the first that is wrong."""
    return tuple(load_rule_file(path, parser) for path in find_rule_files(patterns, folder))


def _check_labels(labels: dict[str, str]) -> None:
    for name in labels:
        if not name or name == METRIC_NAME:
            raise FieldError(f'"{name}" cannot be set as a label here: choose another name', "labels", name)


def _check_annotations(annotations: dict[str, str]) -> None:
    if "" in annotations:
        raise FieldError("an annotation has no name: give it one", "annotations")


def _check_templates(key: str, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        try:
            parse_template(name, text)
        except TemplateParseError as error:
            raise FieldError(
                f"{name}: {error.line}:{error.column} of the template: {error.reason}", key, name
            ) from error


def _place_inside(text: str, place: Place, line: int, column: int) -> Place:
    """The place in the file of a line and column (from 1) of a scalar that begins at `place`."""
    lines = text.split("\n")
    begin = lines[place.line - 1][place.column - 1 :]
    if begin[:1] in {"|", ">"}:
        following = next((number for number in range(place.line, len(lines)) if lines[number].strip()), None)
        if following is None:
            return place
        indent = len(lines[following]) - len(lines[following].lstrip(" "))
        if begin[0] == "|":
            return Place(following + line, indent + column)
        return Place(*_folded(lines, following, indent, column))
    quotes = begin[:1] in {'"', "'"}
    return Place(place.line, place.column + quotes + column - 1) if line == 1 else place


def _folded(lines: list[str], first: int, indent: int, column: int) -> tuple[int, int]:
    """Of a `>` block, whose lines were joined by blanks: line and column in the file."""
    rest, number = column - 1, first
    while number + 1 < len(lines) and rest > (length := len(lines[number]) - indent):
        rest -= length + 1
        number += 1
    return number + 1, indent + rest + 1
