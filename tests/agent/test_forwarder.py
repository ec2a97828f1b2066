"""Delivery to a server that loses answers, refuses, resets and hangs: nothing lost, nothing stored twice, numbers equal."""

import asyncio
import random

import pytest
from tests.agent.forwarding import Sender, Server, serving
from tests.kit.faulty_disk import FaultyDisk


async def test_every_round_arrives_once() -> None:
    server = Server()
    async with serving(server) as url:
        sender = Sender(url)
        for _ in range(20):
            sender.collect(10)
        await sender.run_until_idle()
    assert sorted(server.stored) == list(range(200))
    assert server.duplicates == 0
    assert sender.accounting.acknowledged.total() == 200


@pytest.mark.parametrize("fault", ["reset", "503", "hang", "lost answer", "late answer"])
async def test_one_fault_loses_nothing_and_stores_nothing_twice(fault: str) -> None:
    server = Server()
    server.faults = [fault]
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(10)
        sender.collect(10)
        await sender.run_until_idle()
    assert sorted(server.stored) == list(range(20))
    assert sender.accounting.collected.total() == sender.accounting.acknowledged.total() == 20
    assert sender.accounting.duplicates.total() == server.duplicates == (10 if "answer" in fault else 0)


async def test_many_faults_lose_nothing_and_both_sides_count_the_same() -> None:
    server, chance = Server(), random.Random(11)
    server.faults = chance.choices(["", "503", "reset", "lost answer", "hang"], weights=[4, 3, 3, 3, 1], k=40)
    async with serving(server) as url:
        sender = Sender(url)
        task = asyncio.create_task(sender.forwarder.run())
        while server.faults:
            sender.collect(chance.randint(1, 20))
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sender.run_until_idle()
    assert len(server.stored) == sender.accounting.collected.total() == sender.accounting.acknowledged.total()
    assert sorted(server.stored) == list(range(len(server.stored)))
    assert 0 < sender.accounting.duplicates.total() <= server.duplicates  # such an answer, too, may be lost


async def test_unreachable_server_keeps_everything_until_it_is_back() -> None:
    from tests.peers import free_port

    server, port = Server(), free_port()
    sender = Sender(f"http://127.0.0.1:{port}")
    for _ in range(5):
        sender.collect(10)
    task = asyncio.create_task(sender.forwarder.run())
    await asyncio.sleep(0.1)
    assert sender.accounting.queued == 50
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with serving(server, port):
        await sender.run_until_idle()
    assert sorted(server.stored) == list(range(50))


async def test_poison_is_found_by_halving_and_the_rest_arrives() -> None:
    server = Server()
    server.poison_values = {37.0}
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(60)
        sender.collect(20)
        await sender.run_until_idle()
    assert sender.accounting.dropped.value("refused") == 1
    assert set(range(80)) - set(server.stored) == {37}
    assert sender.accounting.acknowledged.total() == 79


async def test_all_poison_is_given_up_after_a_bounded_number_of_requests() -> None:
    server = Server()
    server.poison_values = {5.0}
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(5000, value=5.0)
        sender.collect(10)
        await sender.run_until_idle()
    assert sender.accounting.dropped.value("refused") == 5000 + 1
    assert sender.delivery._pushes.value("refused") < 200
    assert len(server.stored) == 9


async def test_too_large_a_payload_is_halved_until_it_fits() -> None:
    server = Server()
    server.cells_max = 16
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(100)
        await sender.run_until_idle()
    assert sorted(server.stored) == list(range(100))
    assert sender.accounting.dropped.total() == 0


async def test_fresh_rounds_go_before_the_backlog() -> None:
    server = Server()
    async with serving(server) as url:
        sender = Sender(url)
        for _ in range(4):
            sender.collect(10)
        await sender.run_until_idle()
    assert server.order == [30, 0]  # the newest alone, then the others in one payload


async def test_newest_round_that_failed_waits_behind_older_ones() -> None:
    server = Server()
    server.faults = ["503"]
    async with serving(server) as url:
        sender = Sender(url)
        for _ in range(4):
            sender.collect(10)
        await sender.run_until_idle()
    assert server.order == [0]
    assert sorted(server.stored) == list(range(40))


async def test_rounds_that_wait_when_the_agent_stops_are_offered_once_more() -> None:
    server = Server()
    async with serving(server) as url:
        sender = Sender(url)
        sender.collect(10)
        await sender.forwarder.stop()
    assert sorted(server.stored) == list(range(10))
    assert sender.accounting.is_balanced()


async def test_what_a_stopped_agent_could_not_deliver_is_delivered_by_the_next() -> None:
    server, disk = Server(), FaultyDisk()
    async with serving(server) as url:
        server.faults = ["503"] * 3
        first = Sender(url, disk)
        first.collect(10)
        task = asyncio.create_task(first.forwarder.run())
        while server.faults:  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        first.collect(5)
        await first.forwarder.stop()
        second = Sender(url, disk, epoch=2)
        assert second.accounting.recovered.total() == 15
        second.collect(7)
        await second.run_until_idle()
    assert set(server.cells) == {(1, number) for number in range(15)} | {(2, number) for number in range(7)}
    assert server.duplicates == 0


async def test_after_a_kill_the_same_numbers_are_sent_again_and_the_server_knows_them() -> None:
    server, disk = Server(), FaultyDisk()
    async with serving(server) as url:
        server.faults = ["", "lost answer"]
        first = Sender(url, disk)
        first.collect(10)
        first.collect(20)
        task = asyncio.create_task(first.forwarder.run())
        while len(server.cells) < 30:  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        acknowledged = first.accounting.acknowledged.total()
        disk.kill()  # nothing of the first is asked any more
        await first.delivery.close()
        second = Sender(url, disk, epoch=2)
        await second.run_until_idle()
    assert acknowledged == 20
    assert set(server.cells) == {(1, number) for number in range(30)}
    assert server.duplicates == second.accounting.duplicates.total() == 10
    assert second.accounting.recovered.total() == second.accounting.acknowledged.total() == 10


async def test_kills_at_any_moment_lose_nothing_and_both_sides_count_the_same() -> None:
    server, disk, chance = Server(), FaultyDisk(), random.Random(5)
    collected = 0
    async with serving(server) as url:
        for epoch in range(1, 30):
            server.faults = chance.choices(["", "503", "reset", "lost answer"], k=6)
            sender = Sender(url, disk, epoch=epoch)
            task = asyncio.create_task(sender.forwarder.run())
            for _ in range(chance.randint(0, 6)):
                sender.collect(chance.randint(1, 20))
                await asyncio.sleep(chance.random() / 100)
            assert sender.accounting.is_balanced()
            collected += int(sender.accounting.collected.total())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            disk.kill()
            await sender.delivery.close()
        server.faults = []
        await Sender(url, disk, epoch=100).run_until_idle()
    assert len(server.cells) == collected
    for epoch in range(1, 30):
        numbers = sorted(number for own, number in server.cells if own == epoch)
        assert numbers == list(range(len(numbers)))
