"""Datagrams in batches, over real sockets."""

import asyncio
import socket
from pathlib import Path

import pytest

from nunchi.kit.datagram import DatagramBatch, DatagramListener, format_source, open_udp, open_unix, send_datagrams
from nunchi.kit.listen_address import ListenAddress, ListenError


async def bound() -> socket.socket:
    return await open_udp(ListenAddress("127.0.0.1", 0), 1 << 20)


async def connected(receiver: socket.socket) -> socket.socket:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(receiver.getsockname())
    return sender


async def test_a_batch_takes_what_waits_and_says_whose_it_is() -> None:
    with await bound() as receiver, await connected(receiver) as sender:
        assert send_datagrams(sender.fileno(), [b"one", b"", b"three"]) == 3
        batch = DatagramBatch(8, 100)
        assert batch.receive(receiver.fileno()) == 3
        found = batch.datagrams()
        assert [data for data, _ in found] == [b"one", b"", b"three"]
        assert {format_source(source) for _, source in found} == {"127.0.0.1"}
        assert batch.joined() == b"one\n\nthree\n"
        assert batch.receive(receiver.fileno()) == 0
        assert batch.joined() == b""
        assert send_datagrams(receiver.fileno(), [b"back"], found[0][1]) == 1
        assert sender.recv(10) == b"back"


async def test_a_datagram_longer_than_its_slot_is_cut_at_a_whole_line_and_counted() -> None:
    with await bound() as receiver, await connected(receiver) as sender:
        sender.send(b"abc\ndefgh")
        sender.send(b"x")
        batch = DatagramBatch(4, 6)
        assert batch.receive(receiver.fileno()) == 2
        assert batch.joined() == b"abc\nx\n"
        assert [data for data, _ in batch.datagrams()] == [b"x"]
        assert batch.truncated == 1


async def test_what_the_kernel_drops_is_told() -> None:
    with await open_udp(ListenAddress("127.0.0.1", 0), 4096) as receiver, await connected(receiver) as sender:
        sent = send_datagrams(sender.fileno(), [bytes(1000)] * 50)
        batch = DatagramBatch(64, 2000)
        received = 0
        while found := batch.receive(receiver.fileno()):
            received += found
        sender.send(b"last")
        received += batch.receive(receiver.fileno())
        assert received < sent + 1
        assert received + batch.dropped == sent + 1


async def test_losses_are_told_at_once_and_each_once() -> None:
    receiver = await open_udp(ListenAddress("127.0.0.1", 0), 4096)
    received: list[bytes] = []
    listener = DatagramListener(receiver, lambda batch: received.append(batch.joined()), DatagramBatch(64, 1500))
    with await connected(receiver) as sender:
        sent = send_datagrams(sender.fileno(), [b"x" * 999] * 50)
        first = listener.new_losses()
        assert first["kernel"] > 0, "no datagram comes after them"
        assert listener.new_losses() == {}
        listener.drain()
        assert listener.new_losses() == {}
        sender.send(b"y" * 1600)
        listener.drain()
        assert listener.new_losses() == {"cut": 1}
        sent += send_datagrams(sender.fileno(), [b"x" * 999] * 50)
        listener._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(receiver.fileno(), listener._read)
        listener.stop()
    total = first["kernel"] + listener.new_losses()["kernel"]
    assert b"".join(received).count(b"x" * 999) + total == sent, "what was lost before it closed is told after"


async def test_a_listener_hands_over_everything_and_reads_the_rest_when_it_stops() -> None:
    receiver = await bound()
    texts: list[bytes] = []
    listener = DatagramListener(receiver, lambda batch: texts.append(batch.joined()), DatagramBatch(4, 100))
    listener.start()
    with await connected(receiver) as sender:
        send_datagrams(sender.fileno(), [b"%d" % number for number in range(50)])
        async with asyncio.timeout(10):
            while b"".join(texts).count(b"\n") < 50:  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(0.005)
        send_datagrams(sender.fileno(), [b"last"])
        listener.stop()
    assert b"".join(texts).split() == [b"%d" % number for number in range(50)] + [b"last"]


async def test_sending_where_nobody_listens_raises() -> None:
    with await bound() as receiver:
        sender = await connected(receiver)
    with sender:
        send_datagrams(sender.fileno(), [b"one"])
        with pytest.raises(OSError, match="refused"):
            send_datagrams(sender.fileno(), [b"two"])


async def test_a_dead_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = open_unix(path, 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ListenError, match="another process"):
        open_unix(path, 0o600)
    first.close()
    with open_unix(path, 0o600) as second, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", str(path))
        batch = DatagramBatch(1, 100)
        assert batch.receive(second.fileno()) == 1
        assert batch.joined() == b"hello\n"
        assert format_source(batch.datagrams()[0][1]) == ""
    (tmp_path / "file").write_text("")
    with pytest.raises(ListenError, match="no socket"):
        open_unix(tmp_path / "file", 0o600)


async def test_a_port_that_is_taken_is_named() -> None:
    with await bound() as receiver:
        port = receiver.getsockname()[1]
        with pytest.raises(ListenError, match=str(port)):
            await open_udp(ListenAddress("127.0.0.1", port))
