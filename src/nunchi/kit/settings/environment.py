"""References to the environment in settings text: `$NAME` and `${NAME}`, for the fields that ask for them and no others.

Invariant: expansion is done once; what a variable holds is never expanded again.
"""

import re
from collections.abc import Mapping
from typing import Annotated


class EnvironmentReferences:
    """Marks a text type whose values may refer to the environment."""


Expanded = Annotated[str, EnvironmentReferences()]
_REFERENCE = re.compile(r"\$(?:\$|\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace references; `$$` is a dollar sign, an unset variable is empty text, a lone dollar stays."""

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return environment.get(match[1] if match[1] is not None else match[2], "")

    return _REFERENCE.sub(replacement, text)
