"""Rounds over UDP switched on, changed and switched off while the agent runs.

Invariant: nothing of packs is imported before some settings ask for them; what was counted stays counted.
"""

from collections.abc import Callable

from nunchi.agent.forwarder.delivery import Delivery, FastWay
from nunchi.agent.udp_sender_settings import UdpSettings


class PackSwitch:
    """The fast way of one delivery."""

    def __init__(self, delivery: Delivery, build: Callable[[UdpSettings], FastWay]) -> None:
        self._delivery = delivery
        self._build = build
        self._settings: UdpSettings | None = None

    def plan(self, settings: UdpSettings | None) -> Callable[[], None]:
        """Check settings; what is returned puts them in force. Raises InputError or DiskError where they cannot be right."""
        if settings == self._settings:
            return _nothing
        way = None if settings is None else self._build(settings)

        def change() -> None:
            self._settings = settings
            self._delivery.take_fast(way)

        return change


def _nothing() -> None:
    """Nothing is to change."""
