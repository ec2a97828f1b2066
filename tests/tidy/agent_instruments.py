"""What an agent counts of itself, as its source says it, whichever settings it takes to make it."""

import ast
from pathlib import Path

AGENT = Path(__file__).resolve().parents[2] / "src" / "nunchi" / "agent"
MAKERS = ("counter", "gauge", "histogram")
PREFIX = "agent_"

Row = tuple[str, str, str, str]


def read_instruments() -> set[Row]:
    """Name, type, labels, help of every instrument, as rows of a guide."""
    return {row for path in AGENT.rglob("*.py") for row in instruments_of(path.read_text())}


def instruments_of(source: str) -> set[Row]:
    """Those that a module makes: by a call with their name, or out of a table of (name, help, …) for gauges."""
    found, module = set(), ast.parse(source)
    shared = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Tuple)
        if all(isinstance(one, ast.Constant) for one in node.value.elts)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MAKERS:
            texts, type_ = node.args, node.func.attr
        elif isinstance(node, ast.Tuple) and len(node.elts) == 3:
            texts, type_ = node.elts[:2], "gauge"
        else:
            continue
        words: list[str] = []
        for text in texts:
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                words.append(text.value)
            elif isinstance(text, ast.Starred) and isinstance(text.value, ast.Name):
                words += shared.get(text.value.id, ())
        if len(words) >= 2 and words[0].startswith(PREFIX):
            labels = ", ".join(f"`{label}`" for label in words[2:])
            found.add((f"`{words[0]}`", type_, labels, words[1]))
    return found
