"""Labels and annotations of alerting rules: parsed once per rule, rendered once per alert and evaluation.

Invariant: a template that fails never fails its alert: the text says what is wrong, in its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from nunchi.kit.template import nodes
from nunchi.kit.template.errors import TemplateRunError
from nunchi.kit.template.evaluator import Limits, render
from nunchi.kit.template.parser import parse
from nunchi.kit.template.values import Exposed, Function, TextMap
from nunchi.rules.template_functions import RULE_FUNCTIONS

VARIABLES = ("$labels", "$externalLabels", "$externalURL", "$value")
LIMITS = Limits(steps_max=50_000, output_characters_max=64 * 1024)


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A parsed text; `literal` is its rendering where that never changes."""

    name: str
    templates: Mapping[str, nodes.Template]
    literal: str | None


@dataclass(frozen=True, slots=True)
class AlertData(Exposed):
    """What a template knows of its alert."""

    labels: TextMap
    external_labels: TextMap
    external_url: str
    value: float

    members: ClassVar[Mapping[str, Callable[["AlertData"], object]]] = {
        "Labels": lambda data: data.labels,
        "ExternalLabels": lambda data: data.external_labels,
        "ExternalURL": lambda data: data.external_url,
        "Value": lambda data: data.value,
    }

    def variables(self) -> dict[str, object]:
        """By the names of `VARIABLES`."""
        return dict(zip(VARIABLES, (self.labels, self.external_labels, self.external_url, self.value), strict=True))


def parse_template(name: str, text: str) -> TemplateText:
    """Raises `TemplateParseError`."""
    if "{{" not in text:
        return TemplateText(name, {}, text)
    return TemplateText(name, parse(name, text, RULE_FUNCTIONS, VARIABLES), None)


def parse_templates(texts: Mapping[str, str]) -> tuple[TemplateText, ...]:
    """Each text under its label's or annotation's name."""
    return tuple(parse_template(name, text) for name, text in texts.items())


def expand(
    texts: tuple[TemplateText, ...], data: AlertData, functions: Mapping[str, Function], report: Callable[[str], None]
) -> dict[str, str]:
    """All texts for one alert. A failure is reported and stands in the text; `QueryWantedError` goes to the caller."""
    return {text.name: _expanded(text, data, functions, report) for text in texts}


def _expanded(
    text: TemplateText, data: AlertData, functions: Mapping[str, Function], report: Callable[[str], None]
) -> str:
    if text.literal is not None:
        return text.literal
    try:
        return render(text.templates, text.name, data, functions, data.variables(), LIMITS)
    except TemplateRunError as error:
        report(str(error))
        return f"<error expanding template: {error}>"
