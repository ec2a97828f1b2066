"""Describe and List calls: they know resources that were never tagged, which the tagging API does not.

Invariant: a call is made once, whoever reads its answer; one that fails leaves the others alone.
"""

from collections.abc import Sequence
from typing import Any

from nunchi.agent.clippers.aws.calls import AwsCalls
from nunchi.agent.clippers.aws.service import Call, Description, Place
from nunchi.agent.clippers.aws.services import BY_NAMESPACE
from nunchi.agent.cloud.errors import CloudError, Kind
from nunchi.agent.cloud.exchange import Resource

RESOURCES_MAX = 20_000  # of one call

Wanted = tuple[str, Description]  # with its namespace


def calls_for(namespaces: Sequence[str]) -> dict[Call, list[Wanted]]:
    """The calls that these namespaces' resources take, and who reads them."""
    found: dict[Call, list[Wanted]] = {}
    for namespace in namespaces:
        known = BY_NAMESPACE.get(namespace)
        for description in known.descriptions if known else ():
            found.setdefault(description.call, []).append((namespace, description))
    return found


async def describe(calls: AwsCalls, call: Call, wanted: Sequence[Wanted], place: Place) -> list[Resource]:
    """The resources of one call. Raises CloudError."""
    found: list[Resource] = []
    parameters = dict(call.parameters)
    if call.region_parameter:
        parameters[call.region_parameter] = place.region
    async for answer in calls.pages(call.service, call.operation, *call.tokens, **parameters):
        try:
            found += [
                read_item(namespace, one, item, place)
                for namespace, one in wanted
                for item in one.items(answer)
                if one.keep(item)
            ]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CloudError(
                Kind.INVALID, f"{call.service}.{call.operation}: the answer is not as documented: {error!r}"
            ) from error
        if len(found) > RESOURCES_MAX:
            raise CloudError(Kind.INVALID, f"{call.service} in {place.region}: more than {RESOURCES_MAX} resources")
    return found


def read_item(namespace: str, description: Description, item: Any, place: Place) -> Resource:
    """One item as a resource."""
    resource_id = description.id(place, item)
    tags: dict[str, str] = {}
    attributes: dict[str, str] = {}
    name = ""
    if isinstance(item, dict):
        tags = read_tags(item.get(description.tags))
        name = str(item.get(description.name, ""))
        attributes = {field: str(item[field]) for field in description.attributes if item.get(field) is not None}
    name = name or tags.get("Name", "") or resource_id.rpartition(":")[2].rpartition("/")[2]
    return Resource(resource_id, namespace, name, tags, attributes)


def read_tags(found: Any) -> dict[str, str]:
    """Tags in either of the two ways in which AWS writes them."""
    if isinstance(found, dict):
        return {str(name): str(value) for name, value in found.items()}
    return {str(pair["Key"]): str(pair.get("Value", "")) for pair in found or () if "Key" in pair}
