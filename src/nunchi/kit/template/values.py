"""What templates may see of Python: kinds of values, truth, members of objects that offer them, Go's names for types.

Invariant: only what an object lists in `members` and `methods` can be reached; no attribute access by name happens.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from types import MappingProxyType
from typing import Any, ClassVar, get_type_hints

from nunchi.kit.template.errors import FunctionError

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class NoValue:
    """What a missing key of a map without a zero value gives; false, printed as `<no value>`."""

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "<no value>"


NO_VALUE = NoValue()


@dataclass(frozen=True, slots=True)
class Function:
    """Something callable from a template, with the parameter types that Go's function would declare.

    types      one Python type per parameter; `object` takes anything, `float` takes integers too
    least      how many arguments must be given
    rest       type of further arguments, None where there may be none
    is_lazy    arguments are passed unevaluated, as functions without parameters (`and`, `or`)
    """

    name: str
    call: Callable[..., object]
    types: tuple[type, ...] = ()
    least: int = 0
    rest: type | None = None
    is_lazy: bool = False

    @classmethod
    def of(cls, name: str, call: Callable[..., object], *, is_method: bool = False) -> "Function":
        """Read the parameters from the Python function's annotations."""
        hints = get_type_hints(call)
        parameters = list(signature(call).parameters.values())[is_method:]
        positional = [one for one in parameters if one.kind is not Parameter.VAR_POSITIONAL]
        types = tuple(_plain(hints.get(one.name, object)) for one in positional)
        least = sum(one.default is Parameter.empty for one in positional)
        rest = [_plain(hints.get(one.name, object)) for one in parameters if one.kind is Parameter.VAR_POSITIONAL]
        return cls(name, call, types, least, rest[0] if rest else None)

    def check(self, arguments: list[object]) -> None:
        """Raise `FunctionError` where number or types of arguments do not fit."""
        count = len(arguments)
        if count < self.least or (self.rest is None and count > len(self.types)):
            wanted = f"at least {self.least}" if self.rest is not None else str(self.least)
            raise FunctionError(f"wrong number of arguments for {self.name}: want {wanted}, got {count}")
        for place, argument in enumerate(arguments):
            wanted_type = self.types[place] if place < len(self.types) else (self.rest or object)
            if not is_of_type(argument, wanted_type):
                raise FunctionError(
                    f"wrong type for argument {place + 1} of {self.name}: "
                    f"want {_TYPE_NAMES.get(wanted_type, wanted_type.__name__)}, got {type_name(argument)}"
                )


def _plain(hint: object) -> type:
    return hint if isinstance(hint, type) else object


def is_of_type(value: object, wanted: type) -> bool:
    """Whether a value may be passed where Go declares this type."""
    if wanted is object:
        return True
    if isinstance(value, bool):
        return wanted is bool
    if wanted is float:
        return isinstance(value, (int, float))
    return isinstance(value, wanted)


class Exposed:
    """Base of objects that templates may look into: a Go struct with fields and methods.

    `members` maps a field's name to a function of the object, `methods` a method's name to a `Function` whose first
    argument is the object. `str()` of the object is what printing it gives.
    """

    members: ClassVar[Mapping[str, Callable[[Any], object]]] = _EMPTY
    methods: ClassVar[Mapping[str, Function]] = _EMPTY


class TextMap(dict[str, str]):
    """A Go `map[string]string`: missing keys read as the empty string."""


@dataclass(slots=True)
class Record(Exposed):
    """A nameless struct made on the spot; its fields are what the dict holds."""

    fields: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return "{" + " ".join(str(value) for value in self.fields.values()) + "}"


def methods_of(**functions: Callable[..., object]) -> Mapping[str, Function]:
    """A table for `Exposed.methods`: template name to Python function that takes the object first."""
    return {name: Function.of(name, call, is_method=True) for name, call in functions.items()}


def truth(value: object) -> bool:
    """Go's truth: false, 0, nil and everything of length 0 are false; structs are true."""
    if isinstance(value, (bool, int, float, str, Mapping, list, tuple)) or value is None:
        return bool(value)
    return value is not NO_VALUE


def items_of(value: object) -> Iterator[tuple[object, object]] | None:
    """What `range` goes over: index and element, key and value (keys sorted), or numbers; None where it cannot."""
    if isinstance(value, (list, tuple)):
        return iter(list(enumerate(value)))
    if isinstance(value, Mapping):
        return iter(sorted(value.items()))
    if isinstance(value, int) and not isinstance(value, bool):
        return ((number, number) for number in range(value))
    if value is None or value is NO_VALUE:
        return iter(())
    return None


_TYPE_NAMES: dict[type, str] = {bool: "bool", int: "int", float: "float64", str: "string", TextMap: "map[string]string"}


def type_name(value: object) -> str:
    """The Go name of a value's type, for messages and `%T`."""
    if value is None or value is NO_VALUE:
        return "<nil>"
    named = _TYPE_NAMES.get(type(value))
    if named is not None:
        return named
    if isinstance(value, Mapping):
        return "map[string]interface {}"
    if isinstance(value, (list, tuple)):
        return "[]interface {}"
    return type(value).__name__
