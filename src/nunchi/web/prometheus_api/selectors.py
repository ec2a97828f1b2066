"""Selectors in the parameters of a request, `match[]` above all."""

from nunchi.model.matchers import Matcher
from nunchi.query.errors import ParseError
from nunchi.query.syntax import parse_selector
from nunchi.web.prometheus_api.errors import ApiError, invalid_parameter
from nunchi.web.prometheus_api.parameters import Parameters


def read_selectors(parameters: Parameters, *, needed: bool) -> list[tuple[Matcher, ...]]:
    """The matchers of every `match[]`; `needed` refuses a request without one."""
    texts = parameters.all("match[]")
    if needed and not texts:
        raise ApiError.bad_data("no match[] parameter provided")
    return [read_selector("match[]", text) for text in texts]


def read_selector(name: str, text: str) -> tuple[Matcher, ...]:
    """The matchers of a text; raises the `ApiError` that names the parameter."""
    try:
        return parse_selector(text).matchers
    except ParseError as error:
        raise invalid_parameter(name, str(error)) from None
