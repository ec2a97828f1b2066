"""From names as sent to metric names and labels: rules as statsd_exporter has them, globs before regular expressions.

Invariant: what a rule says of one name is found once; of at most `CACHE_MAX` names it is remembered.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass

from nunchi.agent.statsd.settings import (
    HistogramOptions,
    MappingRule,
    MappingSettings,
    MatchMetricType,
    ObserverType,
    SummaryOptions,
)
from nunchi.kit.errors import InputError
from nunchi.wire.statsd import StatsdKind

CACHE_MAX = 10_000
_REFERENCE = re.compile(r"\$(?:(\d+)|(\w+)|\{(\w+)\})")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_KINDS: dict[StatsdKind, frozenset[MatchMetricType]] = {
    StatsdKind.COUNTER: frozenset({"counter"}),
    StatsdKind.GAUGE: frozenset({"gauge"}),
    StatsdKind.SET: frozenset({"set"}),
    StatsdKind.TIMER: frozenset({"observer", "timer"}),
    StatsdKind.HISTOGRAM: frozenset({"observer", "timer"}),
    StatsdKind.DISTRIBUTION: frozenset({"observer", "timer"}),
}


class MappingError(InputError):
    """A rule that cannot be used; names it."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What becomes of one name: `None` in its place in a look-up means that its samples are dropped."""

    name: str
    labels: tuple[tuple[str, str], ...]
    observer_type: ObserverType
    histogram: HistogramOptions
    summary: SummaryOptions
    ttl_seconds: float
    scale: float
    honor_labels: bool
    help: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    setting: MappingRule


class Mapping:
    """The rules of one agent."""

    def __init__(self, settings: MappingSettings) -> None:
        """Raises MappingError."""
        self._defaults = settings.defaults
        self._globs: dict[int, list[_Rule]] = {}  # by how many parts the name has: a star never spans two
        self._expressions: list[_Rule] = []
        self._cache: OrderedDict[tuple[str, StatsdKind], Mapped | None] = OrderedDict()
        self._default_options = MappingRule(match="", name="-")
        for rule in settings.mappings:
            if (rule.match_type or self._defaults.match_type) == "regex":
                self._expressions.append(_Rule(compile_expression(rule.match), rule))
            else:
                self._globs.setdefault(rule.match.count("."), []).append(_Rule(compile_glob(rule.match), rule))
        if self._defaults.glob_disable_ordering:
            for rules in self._globs.values():
                rules.sort(key=lambda one: [part.count("*") for part in one.setting.match.split(".")])

    @property
    def ttl_seconds(self) -> float:
        """How long what no rule speaks of may be silent; 0: for ever."""
        return self._defaults.ttl.seconds

    def lookup(self, name: str, kind: StatsdKind) -> Mapped | None:
        """What becomes of a name; without a rule it keeps itself, as far as metric names allow. None: dropped."""
        key = name, kind
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        mapped = self._cache[key] = self._map(name, kind)
        if len(self._cache) > CACHE_MAX:
            self._cache.popitem(last=False)
        return mapped

    def _map(self, name: str, kind: StatsdKind) -> Mapped | None:
        for rule in (*self._globs.get(name.count("."), ()), *self._expressions):
            if rule.setting.match_metric_type and rule.setting.match_metric_type not in _KINDS[kind]:
                continue
            match = rule.pattern.search(name)
            if match is None:
                continue
            if rule.setting.action == "drop":
                return None
            labels = ((clean_name(label), expand(value, match)) for label, value in rule.setting.labels.items())
            return self._mapped(clean_name(expand(rule.setting.name, match)), tuple(labels), rule.setting)
        return self._mapped(clean_name(name), (), self._default_options)

    def _mapped(self, name: str, labels: tuple[tuple[str, str], ...], rule: MappingRule) -> Mapped:
        defaults = self._defaults
        return Mapped(
            name,
            labels,
            rule.observer_type or rule.timer_type or defaults.observer(),
            rule.histogram_options.filled(HistogramOptions(buckets=rule.buckets)).filled(defaults.histogram()),
            rule.summary_options.filled(SummaryOptions(quantiles=rule.quantiles)).filled(defaults.summary()),
            (defaults.ttl if rule.ttl is None else rule.ttl).seconds,
            rule.scale,
            rule.honor_labels,
            rule.help,
        )


def compile_glob(glob: str) -> re.Pattern[str]:
    """Parts between dots; a star is one part, whole or in part, and a group."""
    if not glob:
        raise MappingError('a mapping\'s match is empty: write a name, as in "app.*.time"')
    return re.compile(r"\A" + "([^.]*)".join(map(re.escape, glob.split("*"))) + r"\Z")


def compile_expression(expression: str) -> re.Pattern[str]:
    """A regular expression, searched for anywhere in the name unless it says otherwise."""
    try:
        return re.compile(expression)
    except re.error as error:
        raise MappingError(f'the mapping\'s match "{expression}" is not a valid regular expression: {error}') from error


def expand(template: str, match: re.Match[str]) -> str:
    """`$1`, `${1}` and `${name}` replaced by what their groups have matched; groups that are not there are empty."""

    def group(reference: re.Match[str]) -> str:
        wanted = reference[1] or reference[2] or reference[3]
        try:
            return match[int(wanted) if wanted.isdecimal() else wanted] or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(group, template)


def clean_name(name: str) -> str:
    """A name that metrics and labels may have: letters, digits and `_`, no digit first."""
    cleaned = _NOT_IN_NAMES.sub("_", name)
    return f"_{cleaned}" if cleaned[:1].isdigit() else cleaned
