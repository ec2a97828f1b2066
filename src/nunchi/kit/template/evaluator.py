"""Runs a parsed template over data. The tree decides, `values` says what may be touched, `Limits` how much may be done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nunchi.kit.template import nodes
from nunchi.kit.template.errors import FunctionError, TemplateRunError
from nunchi.kit.template.printing import plain
from nunchi.kit.template.values import NO_VALUE, Exposed, Function, TextMap, items_of, truth, type_name

CHARACTERS_A_STEP = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one rendering may do. A step is a node visited, or 256 characters given to a function."""

    steps_max: int = 200_000
    output_characters_max: int = 1 << 20
    depth_max: int = 64


DEFAULT_LIMITS = Limits()


class _LoopEnd(Exception):  # noqa: N818 (a signal between statements, not an error)
    """`break` or `continue` on its way to its `range`."""

    def __init__(self, *, is_break: bool) -> None:
        self.is_break = is_break


def render(
    templates: Mapping[str, nodes.Template],
    name: str,
    data: object,
    functions: Mapping[str, Function],
    variables: Mapping[str, object] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """The text of template `name` over `data`; raises `TemplateRunError`.

    `variables` are those that the parser was told of; other exceptions of functions than `FunctionError` pass through.
    """
    evaluator = _Evaluator(templates, functions, variables or {}, limits)
    return evaluator.run(templates[name], data)


@dataclass(slots=True)
class _Scope:
    """Variables, innermost last; a mark is the length to cut back to."""

    names: list[str]
    values: list[object]

    def declare(self, name: str, value: object) -> None:
        self.names.append(name)
        self.values.append(value)

    def place(self, name: str) -> int:
        for place in range(len(self.names) - 1, -1, -1):
            if self.names[place] == name:
                return place
        raise FunctionError(f"undefined variable {name!r}")

    def cut(self, mark: int) -> None:
        del self.names[mark:], self.values[mark:]


_NOTHING = object()


class _Evaluator:
    def __init__(
        self,
        templates: Mapping[str, nodes.Template],
        functions: Mapping[str, Function],
        variables: Mapping[str, object],
        limits: Limits,
    ) -> None:
        self._templates = templates
        self._functions = functions
        self._variables = variables
        self._limits = limits
        self._steps = 0
        self._characters = 0
        self._depth = 0
        self._pieces: list[str] = []
        self._template: nodes.Template

    def run(self, template: nodes.Template, data: object) -> str:
        try:
            self._execute(template, data)
        except RecursionError:
            raise self._error(template.body[0], "blocks and templates are nested too deep") from None
        return "".join(self._pieces)

    def _execute(self, template: nodes.Template, data: object) -> None:
        self._depth += 1
        outer = getattr(self, "_template", template)
        self._template = template
        scope = _Scope(["$", *self._variables], [data, *self._variables.values()])
        self._walk_all(template.body, data, scope)
        self._template = outer
        self._depth -= 1

    # statements

    def _walk_all(self, statements: Sequence[nodes.Statement], dot: object, scope: _Scope) -> None:
        mark = len(scope.names)
        for statement in statements:
            self._walk(statement, dot, scope)
        scope.cut(mark)

    def _walk(self, statement: nodes.Statement, dot: object, scope: _Scope) -> None:
        self._step(statement)
        match statement:
            case nodes.Text():
                self._put(statement, statement.text)
            case nodes.Action():
                value = self._pipeline(statement.pipeline, dot, scope)
                if not statement.pipeline.variables:
                    shown = NO_VALUE if value is None else value
                    self._put(statement, self._guard(statement, plain, shown))
            case nodes.If() | nodes.With():
                self._choose(statement, dot, scope)
            case nodes.Range():
                self._loop(statement, dot, scope)
            case nodes.TemplateCall():
                self._call_template(statement, dot, scope)
            case nodes.Break():
                raise _LoopEnd(is_break=True)
            case nodes.Continue():
                raise _LoopEnd(is_break=False)

    def _choose(self, branch: nodes.If | nodes.With, dot: object, scope: _Scope) -> None:
        mark = len(scope.names)
        value = self._pipeline(branch.pipeline, dot, scope)
        if truth(value):
            self._walk_all(branch.body, value if isinstance(branch, nodes.With) else dot, scope)
        else:
            self._walk_all(branch.otherwise, dot, scope)
        scope.cut(mark)

    def _loop(self, loop: nodes.Range, dot: object, scope: _Scope) -> None:
        mark = len(scope.names)
        variables = loop.pipeline.variables
        value = self._evaluate(loop.pipeline, dot, scope)
        items = items_of(value)
        if items is None:
            raise self._error(loop.pipeline, f"range cannot go over a {type_name(value)}")
        if len(variables) > 1 and isinstance(value, int):
            raise self._error(loop.pipeline, "range over a number sets one variable, not two")
        is_empty = True
        for key, element in items:
            is_empty = False
            self._step(loop)
            self._set_loop_variables(loop.pipeline, variables, key, element, scope)
            try:
                self._walk_all(loop.body, element, scope)
            except _LoopEnd as signal:
                if signal.is_break:
                    break
            finally:
                scope.cut(mark)
        if is_empty:
            self._walk_all(loop.otherwise, dot, scope)
        scope.cut(mark)

    @staticmethod
    def _set_loop_variables(
        pipeline: nodes.Pipeline, variables: tuple[str, ...], key: object, element: object, scope: _Scope
    ) -> None:
        values = (element,) if len(variables) == 1 else (key, element)
        for name, value in zip(variables, values, strict=False):
            if pipeline.is_assignment:
                scope.values[scope.place(name)] = value
            else:
                scope.declare(name, value)

    def _call_template(self, call: nodes.TemplateCall, dot: object, scope: _Scope) -> None:
        template = self._templates.get(call.name)
        if template is None:
            raise self._error(call, f"template {call.name!r} is not defined")
        if self._depth >= self._limits.depth_max:
            raise self._error(call, f"templates call each other more than {self._limits.depth_max} levels deep")
        data = self._pipeline(call.pipeline, dot, scope) if call.pipeline is not None else None
        self._execute(template, data)

    # pipelines

    def _pipeline(self, pipeline: nodes.Pipeline, dot: object, scope: _Scope) -> object:
        value = self._evaluate(pipeline, dot, scope)
        for name in pipeline.variables:
            if pipeline.is_assignment:
                scope.values[scope.place(name)] = value
            else:
                scope.declare(name, value)
        return value

    def _evaluate(self, pipeline: nodes.Pipeline, dot: object, scope: _Scope) -> object:
        value: object = _NOTHING
        for command in pipeline.commands:
            value = self._command(command, value, dot, scope)
        return value

    def _command(self, command: nodes.Command, final: object, dot: object, scope: _Scope) -> object:
        self._step(command)
        first, others = command.operands[0], command.operands[1:]
        match first:
            case nodes.FunctionName():
                return self._call_function(first, others, final, dot, scope)
            case nodes.Field():
                return self._members(first, dot, first.names, others, final, dot, scope)
            case nodes.Variable() if first.names:
                value = scope.values[scope.place(first.name)]
                return self._members(first, value, first.names, others, final, dot, scope)
            case nodes.Chain():
                value = self._operand(first.operand, dot, scope)
                return self._members(first, value, first.names, others, final, dot, scope)
        if others or final is not _NOTHING:
            raise self._error(first, "a value cannot be given arguments: it is no function")
        if isinstance(first, nodes.Nil):
            raise self._error(first, "nil is not a command")
        return self._operand(first, dot, scope)

    def _operand(self, operand: nodes.Operand, dot: object, scope: _Scope) -> object:
        self._step(operand)
        match operand:
            case nodes.Constant():
                return operand.value
            case nodes.Dot():
                return dot
            case nodes.Nil():
                return None
            case nodes.Pipeline():
                mark = len(scope.names)
                value = self._pipeline(operand, dot, scope)
                scope.cut(mark)
                return value
            case nodes.FunctionName():
                return self._call_function(operand, (), _NOTHING, dot, scope)
            case nodes.Field():
                return self._members(operand, dot, operand.names, (), _NOTHING, dot, scope)
            case nodes.Variable():
                value = scope.values[scope.place(operand.name)]
                return self._members(operand, value, operand.names, (), _NOTHING, dot, scope)
            case nodes.Chain():
                value = self._operand(operand.operand, dot, scope)
                return self._members(operand, value, operand.names, (), _NOTHING, dot, scope)

    def _members(
        self,
        node: nodes.Node,
        value: object,
        names: tuple[str, ...],
        others: tuple[nodes.Operand, ...],
        final: object,
        dot: object,
        scope: _Scope,
    ) -> object:
        """`value.a.b.c others… final`: only the last member may take arguments."""
        for name in names[:-1]:
            value = self._member(node, value, name, [])
        if not names:
            return value
        arguments = [self._operand(other, dot, scope) for other in others]
        if final is not _NOTHING:
            arguments.append(final)
        return self._member(node, value, names[-1], arguments)

    def _member(self, node: nodes.Node, value: object, name: str, arguments: list[object]) -> object:
        if isinstance(value, Exposed):
            method = value.methods.get(name)
            if method is not None:
                self._guard(node, method.check, arguments)
                return self._guard(node, method.call, value, *arguments)
        if arguments:
            raise self._error(node, f".{name} has arguments, but is no method")
        if isinstance(value, Exposed) and name in value.members:
            return value.members[name](value)
        if isinstance(value, Mapping):
            return value.get(name, "" if isinstance(value, TextMap) else NO_VALUE)
        if value is None or value is NO_VALUE:
            raise self._error(node, f"nil value has no .{name}")
        offered = sorted((*value.members, *value.methods)) if isinstance(value, Exposed) else []
        has = f": it has {', '.join(offered)}" if offered else ""
        raise self._error(node, f"cannot find .{name} in a {type_name(value)}{has}")

    def _call_function(
        self, node: nodes.FunctionName, others: tuple[nodes.Operand, ...], final: object, dot: object, scope: _Scope
    ) -> object:
        function = self._functions[node.name]
        if function.is_lazy:
            lazy: list[object] = [self._lazy(other, dot, scope) for other in others]
            if final is not _NOTHING:
                lazy.append(lambda: final)
            if len(lazy) < function.least:
                raise self._error(
                    node, f"wrong number of arguments for {function.name}: want at least {function.least}"
                )
            return function.call(*lazy)
        arguments = [self._operand(other, dot, scope) for other in others]
        if final is not _NOTHING:
            arguments.append(final)
        for argument in arguments:
            if isinstance(argument, str):
                self._steps += len(argument) // CHARACTERS_A_STEP
        self._guard(node, function.check, arguments)
        return self._guard(node, function.call, *arguments)

    def _lazy(self, operand: nodes.Operand, dot: object, scope: _Scope) -> Callable[[], object]:
        return lambda: self._operand(operand, dot, scope)

    # bounds and places

    def _guard(self, node: nodes.Node, call: Callable[..., object], *arguments: object) -> object:
        """Call something that raises `FunctionError`, which then gets a place."""
        try:
            return call(*arguments)
        except FunctionError as error:
            raise self._error(node, str(error)) from None

    def _step(self, node: nodes.Node) -> None:
        self._steps += 1
        if self._steps > self._limits.steps_max:
            raise self._error(node, f"more than {self._limits.steps_max} steps of work")

    def _put(self, node: nodes.Node, text: object) -> None:
        assert isinstance(text, str)
        self._characters += len(text)
        if self._characters > self._limits.output_characters_max:
            raise self._error(node, f"more than {self._limits.output_characters_max} characters of output")
        self._pieces.append(text)

    def _error(self, node: nodes.Node, reason: str) -> TemplateRunError:
        return TemplateRunError(self._template.name, self._template.text, node.position, reason)
