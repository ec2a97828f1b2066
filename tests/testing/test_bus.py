"""The bus of one process passes the contract."""

import pytest

from nunchi.kit.bus import Bus, BusUnavailableError
from nunchi.kit.clock import SystemClock
from nunchi.testing.bus import MemoryBroker, MemoryBus
from nunchi.testing.contracts.bus import SHARED, STREAM, A, BusSuite


class TestMemoryBus(BusSuite):
    @pytest.fixture(autouse=True)
    def _broker(self) -> None:
        self.broker = MemoryBroker()

    def make(self) -> Bus:
        return MemoryBus(self.broker, SystemClock())


async def test_a_broker_that_is_away_takes_nothing_and_forgets_nothing() -> None:
    broker = MemoryBroker()
    bus = MemoryBus(broker, SystemClock())
    consumer = await bus.consume(STREAM, SHARED)
    await bus.put(A, b"kept")
    broker.is_reachable = False
    for call in (bus.put(A, b"x"), bus.tell(A, b"x"), consumer.take(1, 0.1), consumer.backlog()):
        with pytest.raises(BusUnavailableError):
            await call
    broker.is_reachable = True
    assert [one.body for one in await consumer.take(1, 1.0)] == [b"kept"]
