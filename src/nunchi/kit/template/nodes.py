"""The tree of a template. Immutable; every node knows its position in the text."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Node:
    """Something at a place."""

    position: int


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A boolean, number, character or string."""

    value: bool | int | float | str


@dataclass(frozen=True, slots=True)
class Nil(Node):
    """`nil`."""


@dataclass(frozen=True, slots=True)
class Dot(Node):
    """`.`."""


@dataclass(frozen=True, slots=True)
class Field(Node):
    """`.a.b`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """`$x.a.b`; `$` alone has the name `$`."""

    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """`(pipeline).a.b`."""

    operand: "Operand"
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunctionName(Node):
    """A function, called with the operands after it."""

    name: str


@dataclass(frozen=True, slots=True)
class Command(Node):
    """Operands: the first is called with the others, or is the value."""

    operands: tuple["Operand", ...]


@dataclass(frozen=True, slots=True)
class Pipeline(Node):
    """`$a, $b := command | command`; each command gets the value of the one before as its last argument."""

    variables: tuple[str, ...]
    is_assignment: bool
    commands: tuple[Command, ...]


Operand: TypeAlias = Constant | Nil | Dot | Field | Variable | Chain | FunctionName | Pipeline


@dataclass(frozen=True, slots=True)
class Text(Node):
    """What stands outside of actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Action(Node):
    """`{{ pipeline }}`: print its value, or set variables."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch(Node):
    """What `if`, `with` and `range` share."""

    pipeline: Pipeline
    body: tuple["Statement", ...]
    otherwise: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class If(Branch):
    """`{{ if }}`."""


@dataclass(frozen=True, slots=True)
class With(Branch):
    """`{{ with }}`."""


@dataclass(frozen=True, slots=True)
class Range(Branch):
    """`{{ range }}`."""


@dataclass(frozen=True, slots=True)
class TemplateCall(Node):
    """`{{ template "name" pipeline }}`."""

    name: str
    pipeline: Pipeline | None


@dataclass(frozen=True, slots=True)
class Break(Node):
    """`{{ break }}`."""


@dataclass(frozen=True, slots=True)
class Continue(Node):
    """`{{ continue }}`."""


Statement: TypeAlias = Text | Action | If | With | Range | TemplateCall | Break | Continue


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text: its own body under its name, and the templates that it defines; `text` is kept for places in errors."""

    name: str
    text: str
    body: tuple[Statement, ...]

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing but white space: such a definition does not replace another."""
        return all(isinstance(statement, Text) and not statement.text.strip() for statement in self.body)
