"""The inventory of one account in one region: tagged resources by the tagging API, all of them by Describe and List calls.

Invariant: each source is asked by itself; where one fails, what it said last stands and the failure is named.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from nunchi.agent.clippers.aws.association import namespace_of
from nunchi.agent.clippers.aws.calls import AwsCalls
from nunchi.agent.clippers.aws.describe import calls_for, describe, read_tags
from nunchi.agent.clippers.aws.service import Place
from nunchi.agent.clippers.aws.services import BY_NAMESPACE
from nunchi.agent.cloud.errors import CloudError
from nunchi.agent.cloud.exchange import Resource

TAGGING = "tagging"
PAGE_RESOURCES = 100
FILTERS_MAX = 100  # of one GetResources


class Inventory:
    """Remembers what each source said last."""

    def __init__(self, calls: AwsCalls, *, with_describe: bool) -> None:
        self._calls = calls
        self._with_describe = with_describe
        self._place: Place | None = None
        self._locating = asyncio.Lock()  # both clippers of a place ask
        self._found: dict[str, Sequence[Resource]] = {}
        self.account_id = ""

    async def locate(self) -> None:
        """Learn the account's number. Raises CloudError."""
        async with self._locating:
            if self._place is None:
                identity = await self._calls.call("sts", "get_caller_identity")
                self.account_id = str(identity.get("Account", ""))
                partition = str(identity.get("Arn", "arn:aws")).split(":")[1]
                self._place = Place(partition, self._calls.region, self.account_id)

    async def take(self, namespaces: Sequence[str]) -> tuple[tuple[Resource, ...], list[str]]:
        """All resources of these namespaces, and what went wrong. Raises CloudError where no source answers at all."""
        await self.locate()
        problems: list[CloudError] = []
        answered = await self._take_tagged(namespaces, problems)
        if self._with_describe:
            answered += await self._take_described(namespaces, problems)
        if problems and not answered:
            raise problems[0]
        return merge(self._found), [str(error) for error in problems]

    async def _take_tagged(self, namespaces: Sequence[str], problems: list[CloudError]) -> int:
        known = (BY_NAMESPACE[namespace].filters for namespace in namespaces if namespace in BY_NAMESPACE)
        filters = sorted({one for some in known for one in some})
        if not filters:
            return 0
        found: list[Resource] = []
        try:
            for begin in range(0, len(filters), FILTERS_MAX):
                asked = filters[begin : begin + FILTERS_MAX]
                async for answer in self._calls.pages(
                    "resourcegroupstaggingapi", "get_resources", "PaginationToken", "PaginationToken",
                    ResourceTypeFilters=asked, ResourcesPerPage=PAGE_RESOURCES,
                ):  # fmt: skip
                    found += read_tagged(answer.get("ResourceTagMappingList", ()), namespaces)
        except CloudError as error:
            problems.append(error)
            return 0
        self._found[TAGGING] = found
        return 1

    async def _take_described(self, namespaces: Sequence[str], problems: list[CloudError]) -> int:
        answered = 0
        assert self._place is not None
        for call, wanted in calls_for(namespaces).items():
            try:
                self._found[f"{call.service} {call.operation}"] = await describe(self._calls, call, wanted, self._place)
                answered += 1
            except CloudError as error:
                problems.append(error)
        return answered


def read_tagged(mappings: Iterable[Mapping[str, object]], namespaces: Sequence[str]) -> list[Resource]:
    """Resources as the tagging API lists them."""
    found = []
    for one in mappings:
        arn, tags = str(one.get("ResourceARN", "")), read_tags(one.get("Tags"))
        namespace = namespace_of(arn, namespaces)
        if namespace:
            name = tags.get("Name", "") or arn.rpartition(":")[2].rpartition("/")[2]
            found.append(Resource(arn, namespace, name, tags))
    return found


def merge(found: Mapping[str, Sequence[Resource]]) -> tuple[Resource, ...]:
    """One resource an id and namespace: its tags from wherever they are known, a described name before a tagged one."""
    merged: dict[tuple[str, str], Resource] = {}
    for resources in found.values():
        for one in resources:
            before = merged.get((one.namespace, one.id))
            if before is not None:
                tags = {**before.tags, **one.tags}
                one = Resource(one.id, one.namespace, one.name, tags, {**before.attributes, **one.attributes})  # noqa: PLW2901
            merged[one.namespace, one.id] = one
    return tuple(sorted(merged.values(), key=lambda one: (one.namespace, one.id)))
