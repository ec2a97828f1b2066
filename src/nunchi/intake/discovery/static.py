"""Targets that stand in the configuration file itself: `static_configs`."""

from collections.abc import Sequence

import msgspec

from nunchi.intake.mechanism import Publish, TargetGroup
from nunchi.kit.settings import FieldError

ADDRESS = "__address__"


class StaticSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `static_configs`."""

    targets: tuple[str, ...] = ()
    labels: dict[str, str] = {}

    def __post_init__(self) -> None:
        for name in self.labels:
            if not name:
                raise FieldError("a label needs a name", "labels")


def refuse_urls(groups: Sequence[StaticSettings]) -> None:
    """Whether targets are addresses already; raises `FieldError`. Where they are relabelled, they may become addresses."""
    for place, group in enumerate(groups):
        for position, address in enumerate(group.targets):
            if "/" in address:
                raise FieldError(
                    f'"{address}" is not a valid hostname: give host:port alone; scheme and path have keys of their own',
                    "static_configs", place, "targets", position,
                )  # fmt: skip


class StaticMechanism:
    """Publishes once."""

    name = "static"

    def __init__(self, settings: Sequence[StaticSettings]) -> None:
        self._groups = [
            TargetGroup(str(position), [{ADDRESS: address} for address in group.targets], group.labels)
            for position, group in enumerate(settings)
        ]

    async def run(self, publish: Publish) -> None:
        """See `Mechanism.run`."""
        publish(self._groups)
