"""Replacements of `label_replace` are expanded as Go expands them."""

import pytest

from nunchi.model.matchers import compile_regex
from nunchi.query.operators.label_functions import Template


@pytest.mark.parametrize(
    ("replacement", "wanted"),
    [
        ("$1-$2", "é-b"),
        ("${1}x$1x", "éx"),  # `1x` is no group
        ("$0", "é/b"),
        ("$host is ${host}", "é is é"),
        ("$3$9$unknown.", "."),  # a group that found nothing, and groups that there are not
        ("$$1 $ 1 ${} $", "$1 $ 1 ${} $"),
        ("", ""),
    ],
)
def test_references_are_filled_in(replacement: str, wanted: str):
    regex = compile_regex("(?P<host>[^/]+)/(b)(c)?")
    template = Template(replacement, regex.groupindex, regex.groups)
    assert template.expand(regex.match("é/b".encode()).group) == wanted
