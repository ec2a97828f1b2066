"""YAML text to a tree of nodes with places. Nothing is resolved here: a scalar keeps text, tag and quotedness.

Built from the parser's events with a stack of our own, so that depth, size and aliases are bounded however the text is nested.
Invariants: keys are unique within a mapping, merge keys are merged, aliases point at finished nodes, there is one document.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from nunchi.kit.settings.errors import Place, SettingsError

DOCUMENT_CHARACTERS_MAX = 16 << 20
DEPTH_MAX = 100
ALIASES_MAX = 10_000
EXPANDED_NODES_MAX = 2_000_000
MERGE_KEY = "<<"
_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "binary", "timestamp")
)
_TAG_OF_COLLECTION = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!", None}
_PARSER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Node:
    """What all nodes have; `weight` is the number of nodes from here down, aliases counted as what they stand for."""

    place: Place
    weight: int = field(default=1, kw_only=True)


@dataclass(slots=True)
class Scalar(Node):
    """Text; `tag` is None unless the file gives one, `is_plain` where it has no quotes and is no block."""

    text: str
    tag: str | None
    is_plain: bool


@dataclass(slots=True)
class Sequence(Node):
    """A list of nodes."""

    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping(Node):
    """Keys in the order of the file; each is the text of a scalar and keeps its own place."""

    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    node: Sequence | Mapping
    anchor: str | None
    key: Scalar | None = None
    merged: list[tuple[Scalar, Node]] = field(default_factory=list)


def compose(text: str, path: str) -> Node | None:
    """The tree of the only document in `text`, None where there is none; `path` is for messages. Raises SettingsError."""
    if len(text) > DOCUMENT_CHARACTERS_MAX:
        raise SettingsError(path, None, f"larger than {DOCUMENT_CHARACTERS_MAX} characters: split it")
    try:
        return _Composer(path).document(yaml.parse(text.removeprefix("\ufeff"), Loader=_PARSER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = None if mark is None else Place(mark.line + 1, mark.column + 1)
        raise SettingsError(path, place, _explained(error)) from error
    except yaml.YAMLError as error:
        raise SettingsError(
            path, None, f"not YAML text: {str(error).splitlines()[0]}; remove that character"
        ) from error


def _explained(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "syntax error"
    if "cannot start any token" in problem:
        return f"not valid YAML: {problem}; indent with blanks, not tabs, and quote text that begins with a special character"
    if "mapping values are not allowed" in problem:
        return f"not valid YAML: {problem}; check the indentation, or quote text that contains a colon"
    context = f" {error.context}" if error.context else ""
    return f"not valid YAML: {problem}{context}; check indentation and quotes around here"


class _Composer:
    def __init__(self, path: str) -> None:
        self._path = path
        self._root: Node | None = None
        self._documents = 0
        self._anchors: dict[str, Node | None] = {}
        self._aliases = 0
        self._stack: list[_Open] = []

    def document(self, events: Iterator[yaml.Event]) -> Node | None:
        for event in events:
            match event:
                case yaml.ScalarEvent():
                    self._take(self._scalar(event), event.anchor)
                case yaml.SequenceStartEvent():
                    self._begin(Sequence(_place(event)), event)
                case yaml.MappingStartEvent():
                    self._begin(Mapping(_place(event)), event)
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    self._end()
                case yaml.AliasEvent():
                    self._take(self._aliased(event), None)
                case yaml.DocumentStartEvent():
                    self._documents += 1
                    if self._documents > 1:
                        raise self._error(_place(event), "a second document begins here: keep one document a file")
        return self._root

    def _error(self, place: Place, message: str) -> SettingsError:
        return SettingsError(self._path, place, message)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        tag = event.tag
        if tag == "!":
            tag = "tag:yaml.org,2002:str"
        if tag is not None and tag not in _TAGS:
            raise self._error(_place(event), f"unknown tag {tag}: remove it")
        is_plain = event.style is None or event.style == ""
        return Scalar(_place(event), event.value, tag, is_plain)

    def _aliased(self, event: yaml.AliasEvent) -> Node:
        self._aliases += 1
        if self._aliases > ALIASES_MAX:
            raise self._error(_place(event), f"more than {ALIASES_MAX} aliases: write it out, or split the file")
        name = event.anchor or ""
        node = self._anchors.get(name)
        if node is None:
            cure = (
                "refers to what it is part of" if name in self._anchors else f"has no anchor: define &{name} before it"
            )
            raise self._error(_place(event), f"alias *{name} {cure}")
        return node

    def _begin(self, node: Sequence | Mapping, event: yaml.CollectionStartEvent) -> None:
        if event.tag not in _TAG_OF_COLLECTION:
            raise self._error(node.place, f"unknown tag {event.tag}: remove it")
        if len(self._stack) >= DEPTH_MAX:
            raise self._error(node.place, f"nested deeper than {DEPTH_MAX} levels: flatten it")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(node, event.anchor))

    def _end(self) -> None:
        opened = self._stack.pop()
        if isinstance(opened.node, Mapping):
            for key, value in opened.merged:
                self._merge(opened.node, key, value)
        self._take(opened.node, opened.anchor)

    def _take(self, node: Node, anchor: str | None) -> None:
        """Put a finished node where it belongs."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        parent.node.weight += node.weight
        if parent.node.weight > EXPANDED_NODES_MAX:
            raise self._error(node.place, f"aliases expand to more than {EXPANDED_NODES_MAX} nodes: write less")
        if isinstance(parent.node, Sequence):
            parent.node.items.append(node)
        elif parent.key is None:
            parent.key = self._key(node, parent)
        elif parent.key.text == MERGE_KEY and parent.key.is_plain and parent.key.tag is None:
            parent.merged.append((parent.key, node))
            parent.key = None
        else:
            parent.node.entries[parent.key.text] = (parent.key, node)
            parent.key = None

    def _key(self, node: Node, parent: _Open) -> Scalar:
        if not isinstance(node, Scalar):
            raise self._error(node.place, "a key must be text: a list or mapping is no key")
        if node.tag == "tag:yaml.org,2002:binary":
            raise self._error(node.place, "a key must be text: write it out instead of !!binary")
        assert isinstance(parent.node, Mapping)
        earlier = parent.node.entries.get(node.text)
        if earlier is not None:
            message = f'"{node.text}" stands here twice, first in line {earlier[0].place.line}: remove one of the two'
            raise self._error(node.place, message)
        return node

    def _merge(self, target: Mapping, key: Scalar, value: Node) -> None:
        """Add what `<<: value` brings; keys that are there already stay as they are."""
        sources = value.items if isinstance(value, Sequence) else [value]
        for source in sources:
            if not isinstance(source, Mapping):
                raise self._error(key.place, "<< takes a mapping, or a list of mappings: give it an alias to one")
            for text, entry in source.entries.items():
                target.entries.setdefault(text, entry)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    assert mark is not None
    return Place(mark.line + 1, mark.column + 1)
