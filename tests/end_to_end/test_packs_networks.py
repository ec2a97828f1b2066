"""Packs between two hosts with a real wire between them: what it loses is counted to the packet, what it breaks is stored once.

The kernel drops (iptables counts them), a proxy of the tests delays, reorders, repeats and damages; both ends are killed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.delivery import AgentHome, Server, delivering, missing_runs, stored_samples, wait_until
from tests.network import Host, SlowWire, Weather, network

pytestmark = pytest.mark.peer
AGENTS = "/api/nunchi/v1/agents"
PACKS = 9191


@pytest.fixture
def hosts() -> Iterator[tuple[Host, ...]]:
    with network("watched", "server") as made:
        yield made


@pytest.fixture
def server(hosts: tuple[Host, ...], tmp_path: Path) -> Server:
    return Server(
        tmp_path / "server", hosts[1], has_tls=True, flags=(f"--receive.pack-listen-address=0.0.0.0:{PACKS}",)
    )


def home_of(folder: Path, server: Server, host: Host, packs: str, more: str = "") -> AgentHome:
    trust = f"tls_config: {{ca_file: {server.folder}/ca.pem}}"
    settings = (
        f"server: {{url: '{server.url}', timeout: 1s, {trust}}}\nudp: {{address: '{packs}', timeout: 500ms{more}}}"
    )
    return AgentHome(folder, settings, host)


def join(server: Server, agent: AgentHome) -> None:
    token = server.ask(f"{AGENTS}/tokens", "POST", {"name": "proof-1"})["token"]
    assert "joined" in agent.nunchi("join", "--token", token)


def stored_by_packs(server: Server) -> float:
    return server.counted('nunchi_pack_rounds_total{outcome="stored"}')


def wait_packs(server: Server, agent: AgentHome) -> None:
    """Return when rounds go as packs."""
    before = stored_by_packs(server)
    wait_until(lambda: stored_by_packs(server) > before + 1, f"rounds go as packs; the log: {agent.folder / 'log'}")


def of_agent(server: Server, what: str) -> float:
    return server.counted(f"nunchi_pack_{what}_total{{agent=")


@pytest.mark.parametrize("mode", ["aead", "hmac"])
def test_what_the_wire_loses_is_counted_to_the_packet_and_nothing_is_missing(
    hosts: tuple[Host, ...], server: Server, tmp_path: Path, mode: str
) -> None:
    near, far = hosts
    agent = home_of(tmp_path / "agent", server, near, f"{far.address}:{PACKS}", f", mode: {mode}, datagram_bytes: 512")
    with delivering(server, agent):
        join(server, agent)
        agent.start()
        wait_packs(server, agent)
        assert of_agent(server, "lost") == 0
        far.lose_every("udp", PACKS, 4)
        agent.let_runs(16)
        lost = far.lost()
        assert lost > 5
        far.heal()
        wait_packs(server, agent)
        wait_packs(server, agent)  # what is on its way when a round ends is given up two rounds later
        assert of_agent(server, "lost") == lost
        assert (agent.folder / "log").read_text().count("rounds go as packs") == 1, "one session from end to end"
        accounts = agent.settle()
        assert missing_runs(server, agent) == set()
        assert accounts["dropped"] == {}
        known = server.agent()
        assert known["samples"] - known["duplicates"] == accounts["collected"] == stored_samples(server)
        assert of_agent(server, "late") == of_agent(server, "duplicate") == 0


def test_a_wire_that_delays_reorders_repeats_and_damages_stores_nothing_wrong(
    hosts: tuple[Host, ...], server: Server, tmp_path: Path
) -> None:
    near, far = hosts
    with SlowWire(near, (far.address, PACKS), seed=5) as wire:
        agent = home_of(tmp_path / "agent", server, near, f"127.0.0.1:{wire.port}", ", datagram_bytes: 512")
        with delivering(server, agent):
            join(server, agent)
            agent.start()
            wait_packs(server, agent)
            wire.weather = Weather(delayed=0.3, delay_seconds_max=0.3, repeated=0.2, damaged=0.1)
            agent.let_runs(24)
            wire.weather = Weather()
            wait_packs(server, agent)
            assert wire.damaged > 0
            refused = "nunchi_pack_datagrams_refused_total"
            wait_until(lambda: server.counted(refused) == wire.damaged, "what is damaged is refused and counted")
            assert of_agent(server, "reordered") > 0
            assert of_agent(server, "duplicate") > 0
            accounts = agent.settle()
            assert missing_runs(server, agent) == set()
            assert accounts["dropped"] == {}
            known = server.agent()
            assert known["samples"] - known["duplicates"] == accounts["collected"] == stored_samples(server)


def test_after_partitions_and_kills_of_either_side_everything_spooled_arrives_once(
    hosts: tuple[Host, ...], server: Server, tmp_path: Path
) -> None:
    near, far = hosts
    agent = home_of(tmp_path / "agent", server, near, f"{far.address}:{PACKS}")
    with delivering(server, agent):
        join(server, agent)
        agent.start()
        wait_packs(server, agent)
        far.run("iptables", "-A", "INPUT", "-p", "udp", "-j", "DROP")
        agent.let_runs(8)
        assert not agent.delivery()["last_error"], "without UDP rounds go by HTTP"
        far.heal()
        far.cut()
        agent.let_runs(8)
        assert agent.delivery()["accounting"]["queued"] > 0
        server.kill()
        server.start()
        far.heal()
        agent.let_runs(8)
        far.cut()
        agent.let_runs(4)
        agent.kill()
        agent.start()
        agent.let_runs(4)
        far.heal()
        server.kill()
        server.start()
        agent.let_runs(8)
        accounts = agent.settle()
        assert accounts["dropped"] == {}
        assert accounts["recovered"] > 0
        assert len(missing_runs(server, agent)) <= 1, "the round that was being made when the agent was killed"
        agent.stop()
        agent.write()
        agent.start()
        wait_packs(server, agent)
