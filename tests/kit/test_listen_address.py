"""`nunchi.kit.listen_address`."""

import socket

import pytest

from nunchi.kit.errors import InputError
from nunchi.kit.listen_address import ListenAddress, ListenError, bind, is_loopback


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9190", "127.0.0.1", 9190),
        (":9090", "", 9090),
        ("[::1]:0", "::1", 0),
        ("localhost:65535", "localhost", 65535),
    ],
)
def test_address_is_host_and_port(text: str, host: str, port: int) -> None:
    address = ListenAddress.parse(text)
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "9090", "host", "host:", "host:x", "host:65536", "::1:9090", "host:-1", "[::1]", "[host]:1", "h:٣"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match=r"write host:port, as in 127\.0\.0\.1:9190"):
        ListenAddress.parse(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_addresses_are_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "localhost", "0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1%lo", "127.0.0.1.evil.example"]
)
def test_all_else_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


async def test_sockets_of_a_name_share_one_port() -> None:
    sockets = await bind(ListenAddress("localhost", 0))
    try:
        assert len({bound.getsockname()[1] for bound in sockets}) == 1
        assert all(is_loopback(bound.getsockname()[0]) for bound in sockets)
    finally:
        for bound in sockets:
            bound.close()


async def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for host in ("127.0.0.1", "localhost", ""):
            with pytest.raises(
                ListenError,
                match=rf"cannot listen on .*:{port}: the port is taken: stop who has it, or listen elsewhere",
            ):
                await bind(ListenAddress(host, port))


async def test_an_address_of_another_machine_is_one_clear_line() -> None:
    with pytest.raises(ListenError, match="this machine has no such address"):
        await bind(ListenAddress("192.0.2.1", 0))
    with pytest.raises(ListenError, match="no such host"):
        await bind(ListenAddress("no-such-host.invalid", 0))
