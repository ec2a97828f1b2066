"""What there is to know of one of AWS's services: how the tagging API calls its resources, how dimensions name them, and which
Describe and List calls find those that were never tagged.

The services themselves stand in `services.py`, a row each. Invariant: pure; a pattern's dimensions stand in the order of its
groups.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Item = Mapping[str, Any]
Items = Callable[[Item], Iterable[Any]]
MARKERS = ("Marker", "Marker")
NEXT_MARKERS = ("Marker", "NextMarker")
LOWER_TOKENS = ("nextToken", "nextToken")


@dataclass(frozen=True, slots=True)
class Place:
    """What an ARN needs that items do not say."""

    partition: str
    region: str
    account_id: str

    def arn(self, service: str, rest: str) -> str:
        """The ARN of a resource of this place."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{rest}"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an API that lists things; several descriptions may read what it answers. `tokens`: of its pages."""

    service: str
    operation: str
    tokens: tuple[str, str] = ("NextToken", "NextToken")
    parameters: tuple[tuple[str, Any], ...] = ()
    region_parameter: str = ""  # which of them is the region


@dataclass(frozen=True, slots=True)
class Description:
    """What a call says of resources. `items` finds them in an answer, `id` gives an item's ARN, `attributes` names fields
    worth keeping.
    """

    call: Call
    items: Items
    id: Callable[[Place, Any], str]
    tags: str = "Tags"
    name: str = ""
    attributes: tuple[str, ...] = ()
    keep: Callable[[Any], bool] = field(default=lambda _: True)


@dataclass(frozen=True, slots=True)
class Service:
    """`filters`: what the tagging API calls its resources. `patterns`: dimensions, and where they stand in an ARN."""

    namespace: str
    filters: tuple[str, ...]
    patterns: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]
    descriptions: tuple[Description, ...] = ()


def service(
    namespace: str, filters: str, *patterns: tuple[str, str], described: tuple[Description, ...] = ()
) -> Service:
    """A service; names in the texts are separated by commas."""
    return Service(
        namespace,
        tuple(filters.split(",")),
        tuple((tuple(names.split(",")), re.compile(pattern)) for names, pattern in patterns),
        described,
    )


def call(
    service: str,
    operation: str,
    tokens: tuple[str, str] = ("NextToken", "NextToken"),
    region: str = "",
    **parameters: Any,
) -> Call:
    """A call and its parameters; `region` is the one that takes the region."""
    return Call(service, operation, tokens, tuple(parameters.items()), region)


def instances(answer: Item) -> Iterable[Any]:
    """The instances of all reservations."""
    return (one for reservation in answer.get("Reservations", ()) for one in reservation.get("Instances", ()))


def listed(field_name: str) -> Items:
    """The items of one field."""
    return lambda answer: answer.get(field_name) or ()


def written(field_name: str) -> Callable[[Place, Any], str]:
    """An ARN that stands in the item."""
    return lambda _, item: str(item[field_name])


def made(service: str, rest: str) -> Callable[[Place, Any], str]:
    """An ARN made of a field of the item, as in `instance/{InstanceId}`, or of the item itself, as in `table/{}`."""
    return lambda place, item: place.arn(
        service, rest.format_map(item) if isinstance(item, Mapping) else rest.format(item)
    )
