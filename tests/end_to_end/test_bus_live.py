"""An agent, servers and NATS as processes that are killed: what is stored at the end is what was collected, once."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.end_to_end.delivery import AgentHome, Server, delivering, missing_runs, stored_samples, wait_until
from tests.nats import NatsServer

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]
KILLS = 5
LINES = """authorization { users: [
  {user: agents, password: "one", permissions: {
    publish: ["nunchi.main.rounds.*"], subscribe: ["nunchi.main.answers.*", "_INBOX.>"]}},
  {user: servers, password: "two", permissions: {
    publish: ["$JS.API.>", "$JS.ACK.>", "nunchi.main.answers.*"], subscribe: ["_INBOX.>"]}},
] }"""  # the rights that docs/guides/bus.md names, and no others


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats", LINES)
    server.start()
    yield server
    server.stop()


def server_at(folder: Path, nats: NatsServer) -> Server:
    server = Server(folder, flags=(f"--receive.bus-config-file={folder / 'bus.yml'}",))
    (folder / "password").write_text("two\n")
    (folder / "bus.yml").write_text(
        f"{{urls: ['{nats.url}'], username: servers, password_file: password, settle_time: 2s}}\n"
    )
    return server


def agent_at(folder: Path, server: Server, nats: NatsServer) -> AgentHome:
    bus = f"{{urls: ['{nats.url}'], username: agents, password_file: password}}"
    agent = AgentHome(folder, f"server: {{url: '{server.url}', timeout: 2s, bus: {bus}}}")
    (folder / "password").write_text("one\n")
    return agent


def join(agent: AgentHome, server: Server) -> None:
    token = server.ask("/api/nunchi/v1/agents/tokens", "POST", {})["token"]
    agent.nunchi("join", "--server", server.url, "--token", token)


def test_servers_agents_and_the_bus_are_killed_in_any_order_and_the_books_are_right(tmp_path: Path, nats) -> None:
    server = server_at(tmp_path / "server", nats)
    agent = agent_at(tmp_path / "agent", server, nats)
    chance = Random(8)
    last_runs: list[int] = []
    with delivering(server, agent):
        join(agent, server)
        agent.start()
        for kind in ["server", "bus", "agent", *chance.choices(["server", "bus", "agent"], k=KILLS - 3)]:
            agent.let_runs(chance.randrange(3, 7))
            match kind:
                case "server":
                    server.kill()
                    agent.let_runs(2)
                    server.start()
                case "bus":
                    nats.kill()
                    agent.let_runs(2)
                    nats.start()
                case "agent":
                    agent.kill()
                    last_runs.append(agent.journal()[-1])
                    agent.start()
        agent.let_runs(8)
        accounts = agent.settle()
        assert accounts["dropped"] == {}
        assert missing_runs(server, agent) <= set(last_runs)
        assert server.counted("nunchi_bus_connected") == 1
        wait_until(lambda: server.counted("nunchi_bus_lag_messages") == 0, "nothing is left on the bus")
        assert server.counted('nunchi_bus_messages_total{outcome="stored"') > 0
        assert server.counted("nunchi_pushes_total") == server.counted("nunchi_bus_messages_total")


def test_while_server_and_bus_are_killed_the_agents_account_is_what_the_server_has(tmp_path: Path, nats) -> None:
    server = server_at(tmp_path / "server", nats)
    agent = agent_at(tmp_path / "agent", server, nats)
    with delivering(server, agent):
        join(agent, server)
        agent.start()
        for one in (server, nats, server):
            agent.let_runs(4)
            one.kill()
            agent.let_runs(2)
            one.start()
        agent.let_runs(8)
        accounts = agent.settle()
        assert accounts["dropped"] == {}
        assert missing_runs(server, agent) == set()
        assert stored_samples(server) == accounts["collected"] == accounts["acknowledged"]


def test_who_has_not_joined_says_so_and_delivers_once_it_has(tmp_path: Path, nats) -> None:
    server = server_at(tmp_path / "server", nats)
    agent = agent_at(tmp_path / "agent", server, nats)
    with delivering(server, agent):
        agent.start()
        agent.let_runs(3)
        delivery = agent.delivery()
        assert delivery["url"] == nats.url
        assert "let this agent join" in delivery["last_error"]
        agent.stop()
        join(agent, server)
        agent.start()
        agent.let_runs(3)
        assert agent.settle()["dropped"] == {}
        assert missing_runs(server, agent) == set()
        assert nats.url in agent.nunchi("status")


def test_a_server_whose_bus_cannot_do_does_not_start_and_says_why(tmp_path: Path, nats) -> None:
    server = server_at(tmp_path / "server", nats)
    (server.folder / "bus.yml").write_text(f"{{urls: ['{nats.url}'], username: servers, password: two, replicas: 3}}\n")
    with pytest.raises(AssertionError, match="replicas"):
        server.start()
    assert server.process is not None
    assert server.process.wait(10) == 2
