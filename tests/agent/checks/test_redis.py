"""The Redis check on a real server, beside redis_exporter on the same one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.agent.checks.services import (
    Measured,
    assert_alike,
    exposition,
    listens,
    measure,
    saying_peer,
    silent_peer,
    started,
)
from tests.peers import find_peer, free_port

from nunchi.agent.checks.redis import RedisCheck, RedisSettings
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError

# What is not as redis_exporter shows it, and why.
EXCEPTIONS = {
    "redis_exporter_build_info": "of the exporter itself",
    "redis_exporter_last_scrape_connect_time_seconds": "likewise",
    "redis_exporter_last_scrape_duration_seconds": "likewise",
    "redis_exporter_last_scrape_error": "likewise: agent_check_failures_total",
    "redis_exporter_scrape_duration_seconds_sum": "likewise",
    "redis_exporter_scrape_duration_seconds_count": "likewise",
    "redis_exporter_scrapes_total": "likewise",
    "redis_target_scrape_request_errors_total": "likewise",
    "redis_last_key_groups_scrape_duration_milliseconds": "likewise",
    "redis_commands_rejected_calls_total": "redis_exporter shows the commands that it sent itself; ours are fewer",
    "redis_commands_failed_calls_total": "likewise",
    "redis_commands_total": "likewise",
    "redis_commands_duration_seconds_total": "likewise",
    "redis_latency_percentiles_usec": "likewise",
    "redis_latency_percentiles_usec_sum": "likewise",
    "redis_latency_percentiles_usec_count": "likewise",
}


@dataclass(frozen=True)
class Server:
    port: int

    def check(self, **settings: object) -> Measured:
        return measure(RedisCheck(RedisSettings(address=f"127.0.0.1:{self.port}", **settings)))  # type: ignore[arg-type]


def start_server(folder: Path, *flags: str) -> "Iterator[Server]":
    port = free_port()
    command = [
        find_peer("redis-server"),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    with started([*command, *flags], listens(port), folder / f"log-{port}"):
        yield Server(port)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from start_server(tmp_path_factory.mktemp("redis"))


@pytest.mark.peer
def test_all_that_redis_exporter_shows_is_shown(server: Server, tmp_path: Path) -> None:
    port = free_port()
    flags = ["-redis.addr", f"redis://127.0.0.1:{server.port}", "-web.listen-address", f"127.0.0.1:{port}"]
    with started([find_peer("prometheus-redis-exporter"), *flags], listens(port), tmp_path / "log"):
        theirs = exposition(f"http://127.0.0.1:{port}/metrics")
    ours = server.check()
    assert ours.error is None
    assert ours.value("redis_up") == 1
    assert_alike(ours, theirs, ("redis_",), EXCEPTIONS)
    for name in ("redis_config_maxclients", "redis_start_time_seconds", "redis_replication_backlog_bytes"):
        assert abs(ours.value(name) - theirs[0][name, ()]) <= 1
    assert ours.types["redis_latency_percentiles_usec"] == theirs[1]["redis_latency_percentiles_usec"]
    assert ours.value("redis_commands_total", cmd="info") >= 1


@pytest.mark.peer
def test_keys_databases_slow_log_and_errors_are_shown(server: Server) -> None:
    from nunchi.agent.clients.address import parse_address
    from nunchi.agent.clients.connection import Connection
    from nunchi.agent.clients.deadline import Deadline
    from nunchi.agent.clients.redis import RedisClient, RedisError
    from nunchi.kit.clock import SystemClock

    with Connection.open(parse_address(f"127.0.0.1:{server.port}"), Deadline(SystemClock(), 5)) as connection:
        client = RedisClient(connection)
        client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
        client.ask("RPUSH", "queue", "a", "b", "c")
        client.ask("SELECT", "2")
        client.ask("SET", "word", "hello", "EX", "1000")
        with pytest.raises(RedisError, match="WRONGTYPE"):
            client.ask("LPUSH", "word", "x")
    ours = server.check(keys=("db0:queue", "db2:word", "db0:absent"))
    assert ours.error is None
    assert ours.value("redis_key_size", db="db0", key="queue") == 3
    assert ours.value("redis_key_size", db="db2", key="word") == 5
    assert ours.value("redis_key_size", db="db0", key="absent") == 0
    assert ours.value("redis_db_keys_expiring", db="db2") == 1
    assert ours.value("redis_db_keys", db="db15") == 0
    assert ours.value("redis_slowlog_length") > 0
    assert ours.value("redis_errors_total", err="WRONGTYPE") == 1


@pytest.mark.peer
def test_replica_shows_its_master_and_the_master_its_replica(server: Server, tmp_path: Path) -> None:
    import time

    for replica in start_server(tmp_path, "--replicaof", "127.0.0.1", str(server.port)):
        deadline = time.monotonic() + 15
        labels = {"master_host": "127.0.0.1", "master_port": str(server.port)}
        while not replica.check().value("redis_master_link_up", **labels):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert any(
            ("slave_port", str(replica.port)) in found
            for found in server.check().of("redis_connected_slave_lag_seconds")
        )


@pytest.mark.peer
def test_password_is_sent_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    for guarded in start_server(tmp_path, "--requirepass", "open sesame"):
        (tmp_path / "password").write_text("open sesame\n")
        assert guarded.check(password_file=str(tmp_path / "password")).value("redis_up") == 1
        wrong = guarded.check(password=Secret("guess"))
        assert wrong.value("redis_up") == 0
        assert "the password is refused" in str(wrong.error)
        assert "guess" not in str(wrong.error)
        assert "NOAUTH" in str(guarded.check().error)


def test_silence_garbage_and_tls_are_down_with_the_reason_in_time() -> None:
    with silent_peer() as port:
        shown = measure(RedisCheck(RedisSettings(address=f"127.0.0.1:{port}")), deadline_seconds=0.5)
        assert shown.value("redis_up") == 0
        assert "no whole answer within 0.4 s" in str(shown.error)
        assert shown.seconds < 0.5
    for answer, reason in (
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak Redis's protocol"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS, and was asked without"),
        (b"$999999999\r\n", "bytes"),
        (b"$5\r\nhello\r\n", "not as Redis does"),
        (b"", "closed the connection without an answer; does it want TLS?"),
    ):
        with saying_peer(answer) as port:
            shown = measure(RedisCheck(RedisSettings(address=f"127.0.0.1:{port}")))
            assert shown.value("redis_up") == 0
            assert reason in str(shown.error)
            assert str(shown.error).startswith(f"127.0.0.1:{port}: ")


def test_wrong_settings_are_refused_with_the_cure() -> None:
    with pytest.raises(FieldError, match="write db0:name"):
        RedisSettings(keys=("name",))
    with pytest.raises(ValueError, match="write host:port"):
        RedisSettings(address="")
