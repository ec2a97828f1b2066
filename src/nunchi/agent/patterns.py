"""Regular expressions in the agent's settings. They come from the operator's own file, so Python's engine is good enough."""

import re


def compile_pattern(field: str, pattern: str) -> re.Pattern[str]:
    """A compiled pattern; ValueError that names the field where it is not one."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{field}: {pattern!r} is not a regular expression: {error}") from error
