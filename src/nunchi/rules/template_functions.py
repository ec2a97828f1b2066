"""What templates of alerting rules may call, and the shape of query results there: Prometheus's function table.

`query` needs an answer that is not here yet: it raises `QueryWantedError`, the caller asks and renders again. So rendering
stays free of waiting, and equal queries of all alerts of one evaluation are asked once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import quote_plus, urlsplit

from nunchi.kit.durations import parse_duration
from nunchi.kit.template.builtins import function_table
from nunchi.kit.template.errors import FunctionError
from nunchi.kit.template.library import (
    LIBRARY,
    four_digits,
    humanize,
    humanize_binary,
    humanize_percentage,
    number,
    title,
)
from nunchi.kit.template.moment import NANOSECONDS_A_SECOND, Duration, Moment
from nunchi.kit.template.numbers import special
from nunchi.kit.template.values import Exposed, Function, TextMap, type_name

QUERY_CHARACTERS_MAX = 10_000


class QueryWantedError(Exception):
    """A template asks for a query whose answer is not known yet."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        super().__init__(expression)


@dataclass(frozen=True, slots=True)
class TemplateSample(Exposed):
    """One element of a query's result: `.Labels` and `.Value`."""

    labels: TextMap
    value: float | str

    members: ClassVar[Mapping[str, Callable[["TemplateSample"], object]]] = {
        "Labels": lambda sample: sample.labels,
        "Value": lambda sample: sample.value,
    }


@dataclass(slots=True)
class TemplateSurroundings:
    """What functions need to know of the moment and the server: answers to queries so far, time, own address."""

    answers: dict[str, list[TemplateSample]] = field(default_factory=dict)
    now_seconds: float = 0.0
    external_url: str = ""


def _sample(value: object) -> TemplateSample:
    if not isinstance(value, TemplateSample):
        raise FunctionError(f"want an element of a query's result, got {type_name(value)}")
    return value


def _first(samples: list) -> TemplateSample:  # type: ignore[type-arg]  # a plain type is what Function.of reads
    if not samples:
        raise FunctionError("first() called on vector with no elements: guard it with {{ with query … }}")
    return _sample(samples[0])


def _label(name: str, sample: object) -> str:
    return _sample(sample).labels.get(name, "")


def _value(sample: object) -> float | str:
    return _sample(sample).value


def _strvalue(sample: object) -> str:
    return _sample(sample).labels.get("__value__", "")


def _args(*values: object) -> dict[str, object]:
    return {f"arg{place}": value for place, value in enumerate(values)}


def _sort_by_label(name: str, samples: list) -> list[TemplateSample]:  # type: ignore[type-arg]  # see _first
    return sorted(map(_sample, samples), key=lambda sample: sample.labels.get(name, ""))


def _strip_port(address: str) -> str:
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.startswith("[")):
        return host.removeprefix("[").removesuffix("]")
    return address


def _strip_domain(address: str) -> str:
    host = _strip_port(address)
    port = address[len(host) :] if address.startswith(host) else ""
    if host.replace(".", "").isdigit() or ":" in host:
        return address
    return host.partition(".")[0] + port


def _link(tab: int) -> Callable[[str], str]:
    def link(expression: str) -> str:
        return f"/graph?g0.expr={quote_plus(expression, safe='~')}&g0.tab={tab}"

    return link


def _humanize_timestamp(value: object) -> str:
    seconds = number(value)
    return four_digits(seconds) if special(seconds) else str(Moment.of_seconds(seconds))


def _to_time(value: object) -> Moment:
    return Moment.of_seconds(number(value))


def _to_duration(value: object) -> Duration:
    seconds = number(value)
    if special(seconds):
        raise FunctionError(f"{seconds} is no duration")
    return Duration(int(seconds * NANOSECONDS_A_SECOND))


def _parse_duration(text: str) -> float:
    try:
        return parse_duration(text) / 1000
    except ValueError as error:
        raise FunctionError(str(error)) from None


def _url_query_escape(text: str) -> str:
    return quote_plus(text, safe="~")


RULE_FUNCTIONS: Mapping[str, Function] = function_table(
    LIBRARY,
    {
        "title": title,
        "humanize": humanize,
        "humanize1024": humanize_binary,
        "humanizePercentage": humanize_percentage,
        "humanizeTimestamp": _humanize_timestamp,
        "first": _first,
        "label": _label,
        "value": _value,
        "strvalue": _strvalue,
        "args": _args,
        "sortByLabel": _sort_by_label,
        "stripPort": _strip_port,
        "stripDomain": _strip_domain,
        "graphLink": _link(0),
        "tableLink": _link(1),
        "toTime": _to_time,
        "toDuration": _to_duration,
        "parseDuration": _parse_duration,
        "urlQueryEscape": _url_query_escape,
        # Bound to their surroundings by `functions_within`; here they only have names, for the parser.
        "query": Function("query", str, (str,), 1),
        "now": Function("now", str),
        "pathPrefix": Function("pathPrefix", str),
        "externalURL": Function("externalURL", str),
    },
)


def functions_within(surroundings: TemplateSurroundings) -> Mapping[str, Function]:
    """The whole table for one evaluation of a rule."""

    def query(expression: str) -> list[TemplateSample]:
        if len(expression) > QUERY_CHARACTERS_MAX:
            raise FunctionError(f"a query of more than {QUERY_CHARACTERS_MAX} characters")
        answer = surroundings.answers.get(expression)
        if answer is None:
            raise QueryWantedError(expression)
        return answer

    def now() -> float:
        return surroundings.now_seconds

    def path_prefix() -> str:
        return urlsplit(surroundings.external_url).path

    def external_url() -> str:
        return surroundings.external_url

    return {
        **RULE_FUNCTIONS,
        "query": Function.of("query", query),
        "now": Function.of("now", now),
        "pathPrefix": Function.of("pathPrefix", path_prefix),
        "externalURL": Function.of("externalURL", external_url),
    }


def table_link(expression: str) -> str:
    """The path that shows an expression's present result as a table."""
    return f"/graph?g0.expr={quote_plus(expression, safe='~')}&g0.tab=1"
