"""Delivery over wires that break between real hosts of the tests' network, with TLS and the agent's own key."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.delivery import AgentHome, Server, delivering, missing_runs, stored_samples, wait_until
from tests.end_to_end.tcp_wire import TcpWire
from tests.network import Host, network

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]
AGENTS = "/api/nunchi/v1/agents"


@pytest.fixture
def hosts() -> Iterator[tuple[Host, ...]]:
    with network("watched", "server") as made:
        yield made


@pytest.fixture
def server(hosts: tuple[Host, ...], tmp_path: Path) -> Server:
    return Server(tmp_path / "server", hosts[1], has_tls=True)


def home_of(folder: Path, server: Server, host: Host, url: str = "") -> AgentHome:
    """An agent of a host that knows who signed the server's certificate."""
    trust = f"tls_config: {{ca_file: {server.folder}/ca.pem}}"
    return AgentHome(folder, f"server: {{url: '{url or server.url}', timeout: 1s, {trust}}}", host)


def join(server: Server, agent: AgentHome) -> None:
    """A token of the operator lets the agent in."""
    token = server.ask(f"{AGENTS}/tokens", "POST", {"name": "proof-1"})["token"]
    assert "joined" in agent.nunchi("join", "--token", token)


def test_after_every_kind_of_broken_wire_everything_is_stored_once(
    hosts: tuple[Host, ...], server: Server, tmp_path: Path
) -> None:
    near, far = hosts
    with TcpWire(far, (far.address, server.port), seed=3) as wire:
        agent = home_of(tmp_path / "agent", server, near, f"https://{far.address}:{wire.port}")
        with delivering(server, agent):
            join(server, agent)
            agent.start()
            agent.let_runs(4)
            break_by_packets(near, agent, wire.port)
            for weather in ("slow", "cut", "half", "silent"):
                wire.weather = weather
                agent.let_runs(8)
                wait_until(lambda: wire.weather == "slow" or wire.weather in wire.done, "something is broken off")
                wire.weather = "fair"
                agent.let_runs(2)
            accounts = agent.settle()
            assert accounts["dropped"] == {}
            assert accounts["recovered"] == 0
            assert missing_runs(server, agent) == set()
            known = server.agent()
            assert known["samples"] - known["duplicates"] == accounts["collected"] == stored_samples(server)
            assert known["is_enrolled"]


def break_by_packets(near: Host, agent: AgentHome, port: int) -> None:
    """Faults below TCP: answers that never come, connections reset, packets lost, a cable pulled out."""
    near.cut()
    agent.let_runs(8)
    assert agent.delivery()["last_error"]
    near.heal()
    agent.let_runs(2)
    near.run(
        "iptables", "-A", "OUTPUT", "-p", "tcp", "--dport", str(port), "-j", "REJECT", "--reject-with", "tcp-reset"
    )
    agent.let_runs(6)
    near.run("iptables", "-F", "OUTPUT")
    agent.let_runs(2)
    share = ["-m", "statistic", "--mode", "random", "--probability", "0.3", "-j", "DROP"]
    for chain, side in (("INPUT", "--sport"), ("OUTPUT", "--dport")):
        near.run("iptables", "-A", chain, "-p", "tcp", side, str(port), *share)
    agent.let_runs(12)
    for chain in ("INPUT", "OUTPUT"):
        near.run("iptables", "-F", chain)
    near.run("ip", "link", "set", "eth0", "down")
    agent.let_runs(6)
    near.run("ip", "link", "set", "eth0", "up")
    agent.let_runs(4)


def test_an_agent_joins_changes_its_key_is_put_out_and_joins_again_over_tls(
    hosts: tuple[Host, ...], server: Server, tmp_path: Path
) -> None:
    agent = home_of(tmp_path / "agent", server, hosts[0])
    key_file = tmp_path / "agent" / "agent-key"
    with delivering(server, agent):
        agent.start()
        wait_until(lambda: "401" in agent.delivery()["last_error"], "who has no key is refused")
        agent.stop()
        key_file.write_text("nunchi-agent-key.of.nobody\n")
        agent.start()
        wait_until(lambda: "401" in agent.delivery()["last_error"], "a wrong key is refused")
        assert server.ask(AGENTS)["agents"] == [], "nothing is kept of who was refused"
        assert server.counted("nunchi_agent_keys_refused_total") > 0
        agent.stop()
        join(server, agent)
        agent.start()
        wait_until(lambda: not agent.delivery()["last_error"], "with its key it is let in")
        identity, first_key = server.agent()["agent_id"], key_file.read_text()
        server.ask(f"{AGENTS}/{identity}/rotate", "POST")
        wait_until(lambda: key_file.read_text() != first_key, "the agent has another key")
        agent.let_runs(4)
        assert agent.delivery()["last_error"] == ""
        server.ask(f"{AGENTS}/{identity}/revoke", "POST")
        wait_until(lambda: "401" in agent.delivery()["last_error"], "a revoked key opens nothing")
        before = stored_samples(server)
        agent.let_runs(4)
        assert stored_samples(server) == before
        delivery = agent.delivery()
        assert delivery["accounting"]["queued"] > 0
        assert 0 < delivery["spool"]["outage_seconds_left"] <= 24 * 3600, "how long this may last is told"
        agent.stop()
        join(server, agent)
        assert key_file.read_text() != first_key
        agent.start()
        agent.let_runs(4)
        accounts = agent.settle()
        assert accounts["recovered"] > 0
        assert accounts["dropped"] == {}
        assert missing_runs(server, agent) == set(), "what was collected while it was out is there too"
