"""What the clippers of one account and region tell each other, and the two queues they do it over.

The metric clipper says which series it has found; the resource clipper answers with the inventory, in which they find names
and tags. Invariant: each side works without the other; what is lost on the way is sent again with the next round.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nunchi.agent.cloud.channel import Channel
from nunchi.kit.clock import Clock
from nunchi.kit.telemetry import Counter

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing in a cloud. `id` is what the provider calls it in full; `attributes` are what a description says of it."""

    id: str
    namespace: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """Series found of one namespace: some of their dimension sets, with how many metrics each has."""

    namespace: str
    metrics: Mapping[Dimensions, int]


@dataclass(frozen=True, slots=True)
class ResourceInfo:
    """The whole inventory as it is now."""

    resources: tuple[Resource, ...]


class Exchange:
    """Both queues."""

    def __init__(self, clock: Clock, dropped: Counter) -> None:
        self.metrics: Channel[MetricInfo] = Channel("metrics", clock, dropped)
        self.resources: Channel[ResourceInfo] = Channel("resources", clock, dropped, items_max=4)
