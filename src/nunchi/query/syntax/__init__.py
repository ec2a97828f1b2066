"""PromQL's text: lexer, parser, typed nodes, signatures, printer. Pure; knows nothing of plans and engines."""

from nunchi.query.syntax.durations import resolve_durations
from nunchi.query.syntax.parser import parse, parse_labels, parse_selector
from nunchi.query.syntax.pretty import pretty_print
from nunchi.query.syntax.printer import print_node
from nunchi.query.syntax.selector_parser import EVERYTHING, STABLE, ParserSettings

__all__ = [
    "EVERYTHING",
    "STABLE",
    "ParserSettings",
    "parse",
    "parse_labels",
    "parse_selector",
    "pretty_print",
    "print_node",
    "resolve_durations",
]
