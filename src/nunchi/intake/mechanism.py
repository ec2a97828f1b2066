"""The contract of discovery: a mechanism finds targets and publishes all of them whenever they changed.

Invariant: what a mechanism published last stays true until it publishes again; a failed refresh publishes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Targets that share labels. A target is its labels, `__address__` among them; `source` names where it was found."""

    source: str
    targets: Sequence[Mapping[str, str]]
    labels: Mapping[str, str] = field(default_factory=dict)


Publish = Callable[[Sequence[TargetGroup]], None]


class Mechanism(Protocol):
    """One configured way of finding targets. `name` is its key in the configuration file, without `_sd_configs`."""

    name: str

    async def run(self, publish: Publish) -> None:
        """Publish every group, again on every change, until cancelled; return where nothing can ever change."""
        ...
