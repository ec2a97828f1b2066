"""A bounded queue between two clippers of one account and region.

Invariant: never more than `items_max` wait. Who puts waits for room, but not for ever: then the item is dropped and counted.
"""

from collections import deque
from typing import Generic, TypeVar

from nunchi.kit.clock import Clock
from nunchi.kit.telemetry import Counter

ITEMS_MAX = 100
PUT_SECONDS_MAX = 5.0
LOOK_SECONDS = 0.25

ItemT = TypeVar("ItemT")


class Channel(Generic[ItemT]):
    """One direction; `name` is the label of its drops."""

    def __init__(self, name: str, clock: Clock, dropped: Counter, items_max: int = ITEMS_MAX) -> None:
        self._name = name
        self._clock = clock
        self._dropped = dropped
        self._items_max = items_max
        self._items: deque[ItemT] = deque()

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, item: ItemT) -> bool:
        """Queue an item when there is room; False where there was none in time."""
        give_up_at = self._clock.monotonic() + PUT_SECONDS_MAX
        while len(self._items) >= self._items_max:
            if self._clock.monotonic() >= give_up_at:
                self._dropped.add(1, self._name, "queue_full")
                return False
            await self._clock.sleep(LOOK_SECONDS)
        self._items.append(item)
        return True

    def take_all(self) -> list[ItemT]:
        """All that wait, oldest first."""
        items = list(self._items)
        self._items.clear()
        return items
