"""The tests' own network: what it says it does to packets happens to them, and is counted."""

import http.server
import socket
import threading

import pytest
from tests.network import SlowWire, Weather, network


@pytest.mark.peer
def test_hosts_reach_each_other_unless_they_are_cut_off_and_losses_are_counted() -> None:
    with network("near", "far") as (near, far):
        server = far.call(http.server.HTTPServer, ("0.0.0.0", 8000), http.server.BaseHTTPRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        taken = far.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        sender = near.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        with server, taken, sender:
            taken.bind(("0.0.0.0", 5))
            taken.settimeout(1)
            far.lose("udp", 5, 0.5)
            for number in range(200):
                sender.sendto(bytes([number]), (far.address, 5))
            lost = far.lost()
            assert 50 < lost < 150
            assert len([taken.recv(1) for _ in range(200 - lost)]) == 200 - lost
            far.heal()
            near.cut()
            with pytest.raises(OSError, match="timed out"):
                near.call(socket.create_connection, (far.address, 8000), 0.2)
            near.heal()
            near.call(socket.create_connection, (far.address, 8000), 2).close()
            server.shutdown()


@pytest.mark.peer
def test_a_slow_wire_reorders_and_repeats() -> None:
    with network("near", "far") as (near, far):
        taken = far.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        sender = near.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        taken.bind(("0.0.0.0", 5))
        taken.settimeout(2)
        weather = Weather(delayed=0.5, delay_seconds_max=0.05, repeated=0.2)
        with taken, sender, SlowWire(near, (far.address, 5), seed=1, weather=weather) as wire:
            for number in range(100):
                sender.sendto(bytes([number]), ("127.0.0.1", wire.port))
            found = [taken.recv(1)[0] for _ in range(100)]
            while len(found) < 100 + wire.repeated:
                found.append(taken.recv(1)[0])
            assert found != sorted(found)
            assert set(found) == set(range(100))
