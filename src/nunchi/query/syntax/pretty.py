"""A tree as text over several lines: what fits on a line of `WIDTH_MAX` stays there, the rest is split and indented."""

from typing import Final

from nunchi.query.syntax.nodes import Aggregation, Binary, Call, Node, Parenthesis, Subquery, Unary
from nunchi.query.syntax.printer import aggregation_head, binary_head, print_node, subquery_tail

WIDTH_MAX: Final = 100
INDENT: Final = "  "


def pretty_print(node: Node, level: int = 0) -> str:
    """The text of a tree, each line behind `level` steps of indentation."""
    indent = INDENT * level
    line = print_node(node)
    match node:
        case _ if len(line) <= WIDTH_MAX:
            return indent + line
        case Binary():
            left, right = pretty_print(node.left, level + 1), pretty_print(node.right, level + 1)
            return f"{left}\n{indent}{binary_head(node)}\n{right}"
        case Call():
            return _bracketed(node.function.name, node.arguments, level)
        case Aggregation():
            arguments = (node.expression,) if node.parameter is None else (node.parameter, node.expression)
            return _bracketed(aggregation_head(node), arguments, level)
        case Parenthesis():
            return f"{indent}(\n{pretty_print(node.expression, level + 1)}\n{indent})"
        case Unary():
            return f"{indent}{node.operator}{pretty_print(node.expression, level).lstrip()}"
        case Subquery():
            return pretty_print(node.expression, level) + subquery_tail(node)
        case _:
            return indent + line


def _bracketed(head: str, arguments: tuple[Node, ...], level: int) -> str:
    inner = ",\n".join(pretty_print(argument, level + 1) for argument in arguments)
    indent = INDENT * level
    return f"{indent}{head}(\n{inner}\n{indent})"
