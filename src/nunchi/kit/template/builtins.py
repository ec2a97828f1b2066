"""The functions that every Go template has: logic, comparison, indexing, printing, escaping, `call`."""

from collections.abc import Callable, Mapping

from nunchi.kit.template.errors import FunctionError
from nunchi.kit.template.escaping import escape_html, escape_javascript, escape_query
from nunchi.kit.template.printing import bounded, sprint, sprintf, sprintln
from nunchi.kit.template.values import NO_VALUE, Function, TextMap, truth, type_name

Lazy = Callable[[], object]
_ARE_COMPARABLE = (bool, int, float, str)


def _and(*operands: Lazy) -> object:
    value: object = None
    for operand in operands:
        value = operand()
        if not truth(value):
            break
    return value


def _or(*operands: Lazy) -> object:
    value: object = None
    for operand in operands:
        value = operand()
        if truth(value):
            break
    return value


def _not(value: object) -> bool:
    return not truth(value)


def _kind(value: object) -> type | None:
    for kind in _ARE_COMPARABLE:
        if isinstance(value, kind):
            return kind
    return None


def _are_equal(left: object, right: object) -> bool:
    left_is_nil, right_is_nil = left is None or left is NO_VALUE, right is None or right is NO_VALUE
    if left_is_nil or right_is_nil:
        return left_is_nil and right_is_nil
    left_kind, right_kind = _kind(left), _kind(right)
    for value, kind in ((left, left_kind), (right, right_kind)):
        if kind is None and isinstance(value, (Mapping, list, tuple)):
            raise FunctionError(f"non-comparable type {type_name(value)}")
    if left_kind is not right_kind:
        raise FunctionError(f"incompatible types for comparison: {type_name(left)} and {type_name(right)}")
    return left == right


def _eq(first: object, second: object, *others: object) -> bool:
    return any(_are_equal(first, other) for other in (second, *others))


def _ne(left: object, right: object) -> bool:
    return not _are_equal(left, right)


def _order(left: object, right: object) -> tuple[bool, bool]:
    """Whether left is less, and whether it is equal."""
    for kind in (int, float, str):
        if isinstance(left, kind) and isinstance(right, kind):
            if isinstance(left, bool) or isinstance(right, bool):
                break
            return bool(left < right), left == right  # type: ignore[operator]  # both are of one kind
    if _kind(left) is None or _kind(left) is bool:
        raise FunctionError(f"invalid type for comparison: {type_name(left)}")
    raise FunctionError(f"incompatible types for comparison: {type_name(left)} and {type_name(right)}")


def _lt(left: object, right: object) -> bool:
    return _order(left, right)[0]


def _le(left: object, right: object) -> bool:
    return any(_order(left, right))


def _gt(left: object, right: object) -> bool:
    return _order(right, left)[0]


def _ge(left: object, right: object) -> bool:
    return any(_order(right, left))


def _len(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (Mapping, list, tuple)):
        return len(value)
    raise FunctionError(f"len of type {type_name(value)}")


def _index(value: object, *places: object) -> object:
    for place in places:
        value = _element(value, place)
    return value


def _element(value: object, place: object) -> object:
    if isinstance(value, Mapping):
        if not isinstance(place, str):
            raise FunctionError(f"cannot index a map with {type_name(place)}")
        return value.get(place, "" if isinstance(value, TextMap) else NO_VALUE)
    items = value.encode() if isinstance(value, str) else value
    if not isinstance(items, (list, tuple, bytes)):
        raise FunctionError(f"cannot index an item of type {type_name(value)}")
    if not isinstance(place, int) or isinstance(place, bool):
        raise FunctionError(f"cannot index a list with {type_name(place)}")
    if not 0 <= place < len(items):
        raise FunctionError(f"index {place} is out of range: there are {len(items)} items")
    return items[place]


def _slice(value: object, *bounds: int) -> object:
    items = value.encode() if isinstance(value, str) else value
    if not isinstance(items, (list, tuple, bytes)):
        raise FunctionError(f"cannot slice an item of type {type_name(value)}")
    if len(bounds) > (2 if isinstance(value, str) else 3):
        raise FunctionError(f"too many slice indexes: {len(bounds)}")
    begin = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else len(items)
    if not 0 <= begin <= end <= len(items):
        raise FunctionError(f"slice {begin}:{end} is out of range: there are {len(items)} items")
    part = items[begin:end]
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else part


def _call(function: object, *arguments: object) -> object:
    if not isinstance(function, Function):
        raise FunctionError(f"call of a {type_name(function)}, which is no function")
    function.check(list(arguments))
    return function.call(*arguments)


def _joined(values: tuple[object, ...]) -> str:
    return sprint([NO_VALUE if value is None else value for value in values])


def _html(*values: object) -> str:
    return bounded(escape_html(_joined(values)))


def _js(*values: object) -> str:
    return bounded(escape_javascript(_joined(values)))


def _urlquery(*values: object) -> str:
    return bounded(escape_query(_joined(values)))


def _print(*values: object) -> str:
    return sprint(values)


def _println(*values: object) -> str:
    return sprintln(values)


def _printf(template: str, *values: object) -> str:
    return sprintf(template, values)


BUILTINS: Mapping[str, Function] = {
    "and": Function("and", _and, (object,), 1, object, is_lazy=True),
    "or": Function("or", _or, (object,), 1, object, is_lazy=True),
    **{
        name: Function.of(name, call)
        for name, call in (
            ("not", _not),
            ("eq", _eq),
            ("ne", _ne),
            ("lt", _lt),
            ("le", _le),
            ("gt", _gt),
            ("ge", _ge),
            ("len", _len),
            ("index", _index),
            ("slice", _slice),
            ("call", _call),
            ("html", _html),
            ("js", _js),
            ("urlquery", _urlquery),
            ("print", _print),
            ("println", _println),
            ("printf", _printf),
        )
    },
}


def function_table(*tables: Mapping[str, Callable[..., object] | Function]) -> Mapping[str, Function]:
    """The built-in functions and these; plain Python functions are read by their annotations."""
    functions = dict(BUILTINS)
    for table in tables:
        for name, call in table.items():
            functions[name] = call if isinstance(call, Function) else Function.of(name, call)
    return functions
