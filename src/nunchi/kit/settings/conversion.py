"""Nodes to values, guided by types: a walk over both at once, so that every error stands at the node it is about.

Known types: `msgspec.Struct`, `list`, `tuple[T, ...]`, `dict[str, T]`, `str`, `bool`, `int`, `float`, `Literal`, `Enum`,
`Any`, unions of different shapes, `Annotated` with `msgspec.Meta` bounds or `EnvironmentReferences`, and every class with a
`parse(text)` (`TextValue`).
Invariant: an absent or null field takes the struct's default; a value is never changed to fit.
"""

import enum
import functools
import types
from collections.abc import Mapping as MappingOf
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar, Union, get_args, get_origin

import msgspec

from nunchi.kit.errors import InputError
from nunchi.kit.settings import yaml_scalars
from nunchi.kit.settings.environment import EnvironmentReferences, expand
from nunchi.kit.settings.errors import FieldError, Place, SettingsError
from nunchi.kit.settings.yaml_nodes import Mapping, Node, Scalar, Sequence

KNOWN_NAMES_MAX = 12
StructT = TypeVar("StructT", bound=msgspec.Struct)


class TextValue(Protocol):
    """A type of one's own for a field: made of text, written as text by `str()`."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The value of `text`; raises ValueError saying what is wrong and what to write."""
        ...


@functools.cache
def _fields(type_: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {info.encode_name: info for info in msgspec.structs.fields(type_)}


class Conversion:
    """One walk over one document."""

    def __init__(self, path: str, environment: MappingOf[str, str], *, ignores_unknown: bool = False) -> None:
        self._path = path
        self._ignores_unknown = ignores_unknown
        self._environment = environment

    def struct(self, node: Node, type_: type[StructT], name: str = "") -> StructT:
        """The struct that a mapping describes."""
        if isinstance(node, Scalar) and yaml_scalars.is_null(node):
            node = Mapping(node.place)
        if not isinstance(node, Mapping):
            raise self._mismatch(node, "a mapping (name: value)", name)
        fields = _fields(type_)
        values: dict[str, object] = {}
        for key, (key_node, value_node) in node.entries.items():
            info = fields.get(key)
            if info is None:
                if type_.__struct_config__.forbid_unknown_fields and not self._ignores_unknown:
                    raise SettingsError(self._path, key_node.place, _unknown_field(key, fields))
            elif not _is_null(value_node):
                values[info.name] = self.value(value_node, info.type, key)
        for key, info in fields.items():
            if info.required and info.name not in values:
                of = f" of {name}" if name else ""
                raise SettingsError(self._path, node.place, f'"{key}"{of} is missing: add it')
        try:
            return type_(**values)
        except FieldError as error:
            raise SettingsError(self._path, place_of(node, error.steps), str(error)) from error
        except (ValueError, InputError) as error:
            if isinstance(error, SettingsError):
                raise
            raise SettingsError(self._path, node.place, str(error)) from error

    def value(self, node: Node, type_: Any, name: str) -> Any:
        """The value of any known type; `name` is the key it stands under, for messages."""
        origin = get_origin(type_)
        if origin is Annotated:
            base, *notes = get_args(type_)
            return self._annotated(node, base, notes, name)
        if origin is Union or origin is types.UnionType:
            return self.value(node, self._member(node, get_args(type_), name), name)
        if origin is Literal:
            return self._choice(node, {str(choice): choice for choice in get_args(type_)}, name)
        if type_ in {list, tuple, frozenset} or origin in {list, tuple, frozenset}:
            item_type = (get_args(type_) or (Any,))[0]
            return (origin or type_)(self._items(node, item_type, name))
        if type_ is dict or origin is dict:
            return self._entries(node, (get_args(type_) or (str, Any))[1], name)
        if type_ is Any or type_ is object:
            return self._anything(node, name)
        if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
            return self.struct(node, type_, name)
        return self._scalar(node, type_, name)

    def _annotated(self, node: Node, base: Any, notes: list[object], name: str) -> Any:
        value = self.value(node, base, name)
        for note in notes:
            if isinstance(note, EnvironmentReferences):
                value = expand(value, self._environment)
            elif isinstance(note, msgspec.Meta):
                complaint = _out_of_bounds(value, note)
                if complaint:
                    raise self._error(node, name, complaint)
        return value

    def _member(self, node: Node, members: tuple[Any, ...], name: str) -> Any:
        """The member of a union that the shape of the node means."""
        for member in members:
            if member is not type(None) and _has_shape(node, member):
                return member
        wanted = " or ".join(_shape_name(member) for member in members if member is not type(None))
        raise self._mismatch(node, wanted, name)

    def _items(self, node: Node, item_type: Any, name: str) -> list[Any]:
        if not isinstance(node, Sequence):
            raise self._mismatch(node, "a list", name)
        values = []
        for item in node.items:
            if _is_null(item) and _shape_name(item_type) != "text":
                raise self._error(item, name, "this entry is empty: fill it or remove it")
            values.append(self.value(item, item_type, name))
        return values

    def _entries(self, node: Node, value_type: Any, name: str) -> dict[str, Any]:
        if not isinstance(node, Mapping):
            raise self._mismatch(node, "a mapping (name: value)", name)
        return {key: self.value(value, value_type, key) for key, (_, value) in node.entries.items()}

    def _anything(self, node: Node, name: str) -> Any:
        if isinstance(node, Sequence):
            return [self._anything(item, name) for item in node.items]
        if isinstance(node, Mapping):
            return {key: self._anything(value, key) for key, (_, value) in node.entries.items()}
        assert isinstance(node, Scalar)
        return yaml_scalars.value(node)

    def _choice(self, node: Node, choices: MappingOf[str, Any], name: str) -> Any:
        if not isinstance(node, Scalar):
            raise self._mismatch(node, "text", name)
        if node.text not in choices:
            raise self._error(node, name, f'"{node.text}" is not known: use one of {", ".join(choices)}')
        return choices[node.text]

    def _scalar(self, node: Node, type_: Any, name: str) -> Any:
        if not isinstance(node, Scalar):
            raise self._mismatch(node, _shape_name(type_), name)
        if type_ is bool:
            truth = yaml_scalars.boolean(node, is_asked=True)
            if truth is None:
                raise self._mismatch(node, "true or false", name)
            return truth
        if type_ is int or type_ is float:
            return self._number(node, type_, name)
        if isinstance(type_, type) and issubclass(type_, enum.Enum):
            return self._choice(node, {str(member.value): member for member in type_}, name)
        try:
            text = yaml_scalars.text(node)
            return text if type_ is str else type_.parse(text)
        except (ValueError, InputError) as error:
            raise self._error(node, name, str(error)) from error

    def _number(self, node: Scalar, type_: type, name: str) -> int | float:
        amount = yaml_scalars.number(node)
        if amount is None:
            raise self._mismatch(node, _shape_name(type_), name)
        if type_ is float:
            return float(amount)
        if isinstance(amount, float) and not amount.is_integer():
            raise self._mismatch(node, "a whole number", name)
        return int(amount)

    def _mismatch(self, node: Node, wanted: str, name: str) -> SettingsError:
        return self._error(node, name, f"expected {wanted}, found {_found(node)}")

    def _error(self, node: Node, name: str, message: str) -> SettingsError:
        return SettingsError(self._path, node.place, f"{name}: {message}" if name else message)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and yaml_scalars.is_null(node)


def _found(node: Node) -> str:
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    assert isinstance(node, Scalar)
    if yaml_scalars.is_null(node):
        return "nothing"
    shown = node.text if len(node.text) <= 40 else node.text[:37] + "..."
    return f'"{shown}"' if node.is_plain else f'the quoted text "{shown}"'


def _shape_name(type_: Any) -> str:
    origin = get_origin(type_) or type_
    if origin is Annotated:
        return _shape_name(get_args(type_)[0])
    if origin is Union or origin is types.UnionType:
        return " or ".join(_shape_name(member) for member in get_args(type_) if member is not type(None))
    if origin in {list, tuple, frozenset}:
        return "a list"
    if origin is dict or (isinstance(origin, type) and issubclass(origin, msgspec.Struct)):
        return "a mapping (name: value)"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(origin, "text")


def _has_shape(node: Node, type_: Any) -> bool:
    shape = _shape_name(type_)
    if isinstance(node, Sequence):
        return shape == "a list"
    if isinstance(node, Mapping):
        return shape.startswith("a mapping")
    assert isinstance(node, Scalar)
    if shape == "true or false":
        return yaml_scalars.boolean(node, is_asked=True) is not None
    if shape in {"a whole number", "a number"}:
        return yaml_scalars.number(node) is not None
    return shape == "text"


def _out_of_bounds(value: Any, bounds: msgspec.Meta) -> str:
    """What is wrong with a value, nothing where it is within its bounds."""
    if bounds.ge is not None and value < bounds.ge:
        return f"{value} is too small: at least {bounds.ge}"
    if bounds.gt is not None and value <= bounds.gt:
        return f"{value} is too small: more than {bounds.gt}"
    if bounds.le is not None and value > bounds.le:
        return f"{value} is too large: at most {bounds.le}"
    if bounds.lt is not None and value >= bounds.lt:
        return f"{value} is too large: less than {bounds.lt}"
    if bounds.min_length is not None and len(value) < bounds.min_length:
        return "must not be empty" if bounds.min_length == 1 else f"too short: at least {bounds.min_length}"
    if bounds.max_length is not None and len(value) > bounds.max_length:
        return f"too long: at most {bounds.max_length}"
    return ""


def _unknown_field(key: str, fields: MappingOf[str, object]) -> str:
    import difflib  # only errors need it

    near = difflib.get_close_matches(key, fields, n=1)
    if near:
        return f'unknown field "{key}"; did you mean "{near[0]}"?'
    known = ", ".join(sorted(fields)[:KNOWN_NAMES_MAX]) + (", ..." if len(fields) > KNOWN_NAMES_MAX else "")
    return f'unknown field "{key}"; known here: {known}'


def place_of(node: Node, steps: tuple[str | int, ...]) -> Place:
    """The place of the deepest node that exists on the way."""
    for step in steps:
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
            node = node.entries[step][1]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            break
    return node.place
