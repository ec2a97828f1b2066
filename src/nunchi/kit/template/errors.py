"""What can be wrong with a template.

InputError
└── TemplateError            says template, line and column
    ├── TemplateParseError   the text is not a template
    └── TemplateRunError     it is, but not for these data
ValueError
└── FunctionError            raised by template functions; the evaluator adds the place
"""

from nunchi.kit.errors import InputError


class TemplateError(InputError):
    """A template that does not parse or does not run; `line` and `column` count from 1, columns in characters."""

    def __init__(self, name: str, text: str, position: int, reason: str) -> None:
        self.name = name
        self.reason = reason
        self.line = text.count("\n", 0, position) + 1
        self.column = position - (text.rfind("\n", 0, position) + 1) + 1
        super().__init__(f"template {name}:{self.line}:{self.column}: {reason}")


class TemplateParseError(TemplateError):
    """The text is not a template."""


class TemplateRunError(TemplateError):
    """The template does not fit its data, or asks for more work or output than is allowed."""


class FunctionError(ValueError):
    """A template function refuses its arguments."""
