"""Delivery between real processes that are killed, and through a real proxy: nothing is lost unsaid or stored twice."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.agent.checks.services import listens, started
from tests.end_to_end.delivery import (
    PASSWORD,
    USER,
    AgentHome,
    Server,
    delivering,
    missing_runs,
    stored_runs,
    stored_samples,
    wait_until,
)
from tests.peers import find_peer, free_port

pytestmark = pytest.mark.timeout(300)
KILLS = 4


def home_of(folder: Path, server: Server, *more: str) -> AgentHome:
    """An agent that delivers to a server."""
    fields = ", ".join([f"url: '{server.url}'", "timeout: 2s", *more])
    return AgentHome(folder, f"server: {{{fields}}}")


def test_a_server_that_is_killed_again_and_again_has_everything_once(tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    agent = home_of(tmp_path / "agent", server)
    chance = Random(5)
    with delivering(server, agent):
        agent.start()
        for _ in range(KILLS):
            agent.let_runs(chance.randrange(3, 9))
            server.kill()
            agent.let_runs(chance.randrange(1, 6))
            server.start()
        agent.let_runs(8)
        accounts = agent.settle()
        assert accounts["dropped"] == {}
        assert missing_runs(server, agent) == set()
        assert stored_samples(server) == accounts["collected"]


def test_an_agent_that_is_killed_again_and_again_loses_at_most_the_round_that_was_being_made(tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    agent = home_of(tmp_path / "agent", server)
    chance = Random(6)
    last_runs: list[int] = []
    acknowledged: set[int] = set()
    with delivering(server, agent):
        for _ in range(KILLS):
            agent.start()
            agent.let_runs(chance.randrange(3, 9))
            acknowledged |= stored_runs(server)
            agent.kill()
            last_runs.append(agent.journal()[-1])
        agent.start()
        agent.let_runs(8)
        accounts = agent.settle()
        assert accounts["dropped"] == {}
        missing = missing_runs(server, agent)
        assert set(missing) <= set(last_runs), "what was made before the kill was spooled, and arrives"
        assert len(acknowledged) > KILLS
        assert acknowledged.isdisjoint(missing), "what was stored before a kill is there"
        known = server.agent()
        assert known["samples"] - known["duplicates"] == stored_samples(server)


def test_both_are_killed_in_any_order_and_the_books_are_right(tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    agent = home_of(tmp_path / "agent", server)
    chance = Random(7)
    last_runs: list[int] = []
    with delivering(server, agent):
        agent.start()
        for _ in range(2 * KILLS):
            agent.let_runs(chance.randrange(2, 6))
            match chance.choice(["server", "agent", "agent while the server is away", "both"]):
                case "server":
                    server.kill()
                    server.start()
                case "agent":
                    agent.kill()
                    last_runs.append(agent.journal()[-1])
                    agent.start()
                case "agent while the server is away":
                    server.kill()
                    agent.let_runs(2)
                    agent.kill()
                    last_runs.append(agent.journal()[-1])
                    agent.start()
                    server.start()
                case "both":
                    server.kill()
                    agent.kill()
                    last_runs.append(agent.journal()[-1])
                    server.start()
                    agent.start()
        agent.let_runs(8)
        accounts = agent.settle()
        assert accounts["dropped"] == {}
        assert set(missing_runs(server, agent)) <= set(last_runs)
        assert len(last_runs) >= 2


@contextlib.contextmanager
def tinyproxy(folder: Path) -> Iterator[int]:
    """Debian's tinyproxy, with a user; gives its port."""
    program, port = find_peer("tinyproxy"), free_port()
    (folder / "tinyproxy.conf").write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\nBasicAuth bob secret\n"
        f'LogFile "{folder}/tinyproxy.log"\nLogLevel Connect\n'
    )
    command = [program, "-d", "-c", str(folder / "tinyproxy.conf")]
    with started(command, listens(port), folder / "tinyproxy.out"):
        yield port


@pytest.mark.peer
def test_payloads_pass_a_proxy_that_wants_a_password(tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    with tinyproxy(tmp_path) as port, delivering(server, agent := AgentHome(tmp_path / "agent", "")):
        agent.settings = f"server: {{url: '{server.url}', proxy_url: 'http://bob:wrong@127.0.0.1:{port}'}}"
        agent.write()
        agent.start()
        wait_until(
            lambda: "401" in agent.delivery()["last_error"] or "407" in agent.delivery()["last_error"], "refusal"
        )
        assert server.ask("/api/nunchi/v1/agents")["agents"] == []
        agent.settings = agent.settings.replace("wrong", "secret")
        agent.write()
        agent.nunchi("reload")
        agent.let_runs(4)
        accounts = agent.settle()
        assert accounts["dropped"] == {}
        assert missing_runs(server, agent) == set()
        assert stored_samples(server) == accounts["collected"]
        log = (tmp_path / "tinyproxy.log").read_text()
        assert "Request (file descriptor" in log
        assert f"POST http://127.0.0.1:{server.port}/api/v1/push" in log


@pytest.mark.peer
def test_a_proxy_only_tunnels_what_is_encrypted(tmp_path: Path) -> None:
    server = Server(tmp_path / "server", has_tls=True)
    with tinyproxy(tmp_path) as port, delivering(server, agent := AgentHome(tmp_path / "agent", "")):
        secrets = (
            f"basic_auth: {{username: {USER}, password: {PASSWORD}}}, tls_config: {{ca_file: {server.folder}/ca.pem}}"
        )
        agent.settings = f"server: {{url: '{server.url}', {secrets}, proxy_url: 'http://bob:secret@127.0.0.1:{port}'}}"
        agent.write()
        agent.start()
        agent.let_runs(4)
        accounts = agent.settle()
        assert accounts["dropped"] == {}
        assert missing_runs(server, agent) == set()
        assert stored_samples(server) == accounts["collected"]
        log = (tmp_path / "tinyproxy.log").read_text()
        assert f"CONNECT 127.0.0.1:{server.port}" in log
        assert "/api/v1/push" not in log
