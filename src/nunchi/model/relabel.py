"""Relabelling: rules that rewrite a label set or drop it. The same rules serve targets, samples and alerts.

`RelabelRule` is one rule as configured, `Relabeller` an ordered list of them made ready. Pure: labels in, labels out.
Invariant: a rule sees what the rules before it made, and within one rule (`labelmap`, `labeldrop`) everything is judged on
the state before the rule. Regular expressions are RE2's, anchored; `$1` and `${name}` follow Go's expansion rules.
"""

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from enum import Enum
from hashlib import md5
from typing import Any

import msgspec

from nunchi.model.labels import quote
from nunchi.model.matchers import RegexError, compile_regex
from nunchi.model.names import NameScheme

DEFAULT_REGEX = "(.*)"
DEFAULT_REPLACEMENT = "$1"
DEFAULT_SEPARATOR = ";"
MODULUS_MAX = 2**64 - 1

_LEGACY_TEMPLATE = re.compile(r"(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+")


class Action(Enum):
    """What a rule does."""

    REPLACE = "replace"
    KEEP = "keep"
    DROP = "drop"
    KEEP_EQUAL = "keepequal"
    DROP_EQUAL = "dropequal"
    HASHMOD = "hashmod"
    LABELMAP = "labelmap"
    LABELDROP = "labeldrop"
    LABELKEEP = "labelkeep"
    LOWERCASE = "lowercase"
    UPPERCASE = "uppercase"


_NEED_TARGET = (
    Action.REPLACE, Action.KEEP_EQUAL, Action.DROP_EQUAL, Action.HASHMOD, Action.LOWERCASE, Action.UPPERCASE,
)  # fmt: skip
_FIXED_REPLACEMENT = (Action.LOWERCASE, Action.UPPERCASE, Action.KEEP_EQUAL, Action.DROP_EQUAL)


class RelabelRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry of `relabel_configs` and its siblings. Raises ValueError where the fields do not fit the action."""

    source_labels: tuple[str, ...] = ()
    separator: str = DEFAULT_SEPARATOR
    regex: str = DEFAULT_REGEX
    modulus: int = 0
    target_label: str = ""
    replacement: str = DEFAULT_REPLACEMENT
    action: str = "replace"

    def __post_init__(self) -> None:
        try:
            compile_regex(self.regex)
        except RegexError as error:
            raise ValueError(f"regex: {error}; nunchi reads RE2's language, as Prometheus does") from None
        for name in self.source_labels:
            if not NameScheme.UTF8.is_label_name(name):
                raise ValueError(f"source_labels: {quote(name)} is no valid label name")
        self.check_names(NameScheme.UTF8)
        self._check_fields()

    @property
    def kind(self) -> Action:
        """The action; its spelling does not depend on case."""
        try:
            return Action(self.action.lower())
        except ValueError:
            known = ", ".join(action.value for action in Action)
            raise ValueError(f"action: {quote(self.action)} is not a relabel action; use one of {known}") from None

    def _check_fields(self) -> None:
        action, name = self.kind, self.kind.value
        if not 0 <= self.modulus <= MODULUS_MAX:
            raise ValueError(f"modulus: {self.modulus} is not between 0 and {MODULUS_MAX}")
        if action is Action.HASHMOD and self.modulus == 0:
            raise ValueError("modulus: hashmod needs one that is not zero")
        if action in _FIXED_REPLACEMENT and self.replacement != DEFAULT_REPLACEMENT:
            raise ValueError(f"replacement: cannot be set for {name}; remove it")
        plain = self.modulus == 0 and self.separator == DEFAULT_SEPARATOR and self.replacement == DEFAULT_REPLACEMENT
        if action in (Action.KEEP_EQUAL, Action.DROP_EQUAL) and not (plain and self.regex == DEFAULT_REGEX):
            raise ValueError(f"action: {name} takes source_labels and target_label alone; remove the other fields")
        if action in (Action.LABELDROP, Action.LABELKEEP) and not (
            plain and not self.source_labels and not self.target_label
        ):
            raise ValueError(f"action: {name} takes regex alone; remove the other fields")

    def check_names(self, scheme: NameScheme) -> None:
        """Raise ValueError where a label that this rule would write has no valid name under `scheme`."""
        action, target = self.kind, self.target_label
        if action in _NEED_TARGET and not target:
            raise ValueError(f"target_label: {action.value} needs one")
        if action is Action.REPLACE and "$" in target:
            valid = _is_name_template(target, scheme)
        else:
            valid = action not in _NEED_TARGET or scheme.is_label_name(target)
        if not valid:
            raise ValueError(f"target_label: {quote(target)} is no valid label name for {action.value}")
        if action is Action.LABELMAP and not _is_name_template(self.replacement, scheme):
            raise ValueError(f"replacement: {quote(self.replacement)} makes no valid label name for labelmap")


def _is_name_template(text: str, scheme: NameScheme) -> bool:
    if scheme is NameScheme.UTF8:
        return scheme.is_label_name(text)
    return _LEGACY_TEMPLATE.fullmatch(text) is not None


Template = tuple[str | int, ...]
_VARIABLE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")


def parse_template(text: str, group_names: Mapping[str, int], group_count: int) -> Template:
    """Literal texts and group numbers, in order. A group that does not exist expands to nothing; `$$` is one `$`."""
    parts: list[str | int] = []
    position = 0
    for found in _VARIABLE.finditer(text):
        parts.append(text[position : found.start()])
        position = found.end()
        dollar, bare, braced = found.groups()
        if dollar:
            parts.append("$")
            continue
        name = bare or braced
        is_number = name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") and len(name) < 9
        number = int(name) if is_number else group_names.get(name, -1)
        if 0 <= number <= group_count:
            parts.append(number)
    parts.append(text[position:])
    return tuple(part for part in parts if part != "")


def _expand(template: Template, match: Any) -> str:
    return "".join(part if isinstance(part, str) else (match.group(part) or "") for part in template)


def _lower(text: str) -> str:
    """Rune by rune, as Go does: no rule looks at neighbours, no character becomes two."""
    return text.lower() if text.isascii() else "".join(character.lower()[0] for character in text)


def _upper(text: str) -> str:
    if text.isascii():
        return text.upper()
    raised = ((character, character.upper()) for character in text)
    return "".join(upper if len(upper) == 1 else character for character, upper in raised)


def hash_modulo(text: str, modulus: int) -> int:
    """The last 8 bytes of the text's MD5, big-endian, modulo: which shard a target belongs to."""
    digest = md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "big") % modulus


MutableLabels = MutableMapping[str, str]


class _Step:
    """One rule made ready: compiled regex, parsed templates. `apply` changes labels in place; False drops them."""

    def __init__(self, rule: RelabelRule, scheme: NameScheme) -> None:
        self.rule = rule
        self._scheme = scheme
        self._sources = rule.source_labels
        self._separator = rule.separator
        self._regex: Any = compile_regex(rule.regex)
        names, count = dict(self._regex.groupindex), self._regex.groups
        self._replacement = parse_template(rule.replacement, names, count)
        self._target = parse_template(rule.target_label, names, count)
        self._is_constant = rule.regex == DEFAULT_REGEX and "$" not in rule.replacement and "$" not in rule.target_label
        self.apply: Callable[[MutableLabels], bool] = getattr(self, f"_{rule.kind.name.lower()}")

    def _value(self, labels: MutableLabels) -> str:
        if len(self._sources) == 1:
            return labels.get(self._sources[0], "")
        return self._separator.join([labels.get(name, "") for name in self._sources])

    def _set(self, labels: MutableLabels, name: str, value: str) -> None:
        if value:
            labels[name] = value
        else:
            labels.pop(name, None)

    def _keep(self, labels: MutableLabels) -> bool:
        return self._regex.match(self._value(labels)) is not None

    def _drop(self, labels: MutableLabels) -> bool:
        return self._regex.match(self._value(labels)) is None

    def _keep_equal(self, labels: MutableLabels) -> bool:
        return labels.get(self.rule.target_label, "") == self._value(labels)

    def _drop_equal(self, labels: MutableLabels) -> bool:
        return labels.get(self.rule.target_label, "") != self._value(labels)

    def _replace(self, labels: MutableLabels) -> bool:
        value = self._value(labels)
        if self._is_constant:
            self._set(labels, self.rule.target_label, self.rule.replacement)
            return True
        match = self._regex.match(value)
        if match is None:
            return True
        name = _expand(self._target, match)
        if self._scheme.is_label_name(name):
            self._set(labels, name, _expand(self._replacement, match))
        return True

    def _hashmod(self, labels: MutableLabels) -> bool:
        labels[self.rule.target_label] = str(hash_modulo(self._value(labels), self.rule.modulus))
        return True

    def _lowercase(self, labels: MutableLabels) -> bool:
        self._set(labels, self.rule.target_label, _lower(self._value(labels)))
        return True

    def _uppercase(self, labels: MutableLabels) -> bool:
        self._set(labels, self.rule.target_label, _upper(self._value(labels)))
        return True

    def _labelmap(self, labels: MutableLabels) -> bool:
        for name, value in sorted(labels.items()):
            match = self._regex.match(name)
            if match is not None:
                mapped = _expand(self._replacement, match)
                if mapped:
                    labels[mapped] = value
        return True

    def _labeldrop(self, labels: MutableLabels) -> bool:
        for name in [name for name in labels if self._regex.match(name) is not None]:
            del labels[name]
        return True

    def _labelkeep(self, labels: MutableLabels) -> bool:
        for name in [name for name in labels if self._regex.match(name) is None]:
            del labels[name]
        return True


class Relabeller:
    """An ordered list of rules, made ready once. Truth value: whether there is any rule."""

    def __init__(self, rules: Iterable[RelabelRule] = (), scheme: NameScheme = NameScheme.UTF8) -> None:
        self.rules = tuple(rules)
        self.scheme = scheme
        self._steps = tuple(_Step(rule, scheme) for rule in self.rules)

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Relabeller):
            return NotImplemented
        return self.rules == other.rules and self.scheme is other.scheme

    def __hash__(self) -> int:
        return hash((self.rules, self.scheme))

    def apply(self, labels: MutableLabels) -> bool:
        """Rewrite labels in place; False means that a rule dropped them (what they hold then means nothing)."""
        return all(step.apply(labels) for step in self._steps)

    def dropping_rule(self, labels: Mapping[str, str]) -> int | None:
        """Which rule, counted from 0, drops these labels; None where none does."""
        changed = dict(labels)
        for position, step in enumerate(self._steps):
            if not step.apply(changed):
                return position
        return None
