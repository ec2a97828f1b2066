"""The MySQL check on a real MariaDB server, beside mysqld_exporter on the same one; Galera on what its manual prints."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.agent.checks.services import (
    Measured,
    assert_alike,
    exposition,
    find_exporter,
    listens,
    measure,
    saying_peer,
    silent_peer,
    started,
)
from tests.peers import find_peer, free_port

from nunchi.agent.checks.mysql import MysqlCheck, MysqlSettings
from nunchi.agent.checks.mysql.status import emit_status, emit_variables
from nunchi.agent.emission import Emission
from nunchi.kit.secrets import Secret

ALL = (
    "slave_status",
    "innodb_cmp",
    "engine_innodb_status",
    "innodb_metrics",
    "binlog_size",
    "processlist",
    "tables",
    "statements",
)

# What is not as mysqld_exporter shows it, and why.
EXCEPTIONS = {
    "mysql_exporter_collector_duration_seconds": "of the exporter itself: agent_check_duration_seconds",
    "mysql_exporter_collector_success": "likewise: agent_check_failures_total",
}


@dataclass(frozen=True)
class Server:
    port: int
    socket: Path

    def check(self, **settings: object) -> Measured:
        told = {"address": f"127.0.0.1:{self.port}", **settings}
        return measure(MysqlCheck(MysqlSettings(**told)))  # type: ignore[arg-type]

    def sql(self, text: str) -> None:
        command = [find_peer("mariadb", "mysql"), "--no-defaults", f"--socket={self.socket}", "-uroot", "-e", text]
        subprocess.run(command, check=True, capture_output=True)


def start_server(folder: Path, template: Path, *flags: str) -> Iterator[Server]:
    port, socket = free_port(), folder / "sock"
    subprocess.run(["cp", "-a", str(template), str(folder / "data")], check=True)
    command = [
        find_peer("mariadbd", "mysqld"),
        *("--no-defaults", "--user=root", f"--datadir={folder / 'data'}", f"--port={port}", f"--socket={socket}"),
        *("--bind-address=127.0.0.1", f"--pid-file={folder / 'pid'}", "--innodb-flush-log-at-trx-commit=0"),
        *("--innodb-buffer-pool-size=16M", *flags),
    ]
    with started(command, listens(port), folder / "log"):
        yield Server(port, socket)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pymysql", reason="the extra nunchi[mysql] is not installed")
    data = tmp_path_factory.mktemp("mysql") / "template"
    command = [find_peer("mariadb-install-db"), "--no-defaults", "--user=root", f"--datadir={data}"]
    subprocess.run([*command, "--auth-root-authentication-method=normal"], check=True, capture_output=True)
    return data


@pytest.fixture(scope="module")
def server(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for found in start_server(
        tmp_path_factory.mktemp("mysql"), template, "--server-id=1", "--log-bin", "--performance-schema"
    ):
        found.sql(
            "create database shop; create table shop.orders(id int primary key); insert into shop.orders values (1), (2)"
        )
        found.sql("create user guarded@localhost identified by 'open sesame'; grant all on *.* to guarded@localhost")
        yield found


@pytest.mark.peer
def test_all_that_mysqld_exporter_shows_is_shown(server: Server, tmp_path: Path) -> None:
    program = find_exporter((0, 17), "prometheus-mysqld-exporter", "mysqld_exporter")
    port = free_port()
    flags = [f"--mysqld.address=127.0.0.1:{server.port}", "--mysqld.username=root", "--config.my-cnf=/dev/null"]
    flags += [f"--web.listen-address=127.0.0.1:{port}", "--collect.engine_innodb_status", "--collect.binlog_size"]
    with started([program, *flags], listens(port), tmp_path / "log", {"MYSQLD_EXPORTER_PASSWORD": ""}):
        theirs = exposition(f"http://127.0.0.1:{port}/metrics")
    ours = server.check()
    assert ours.error is None
    assert_alike(ours, theirs, ("mysql_",), EXCEPTIONS)
    for series, value in theirs[0].items():
        if series[0].startswith(("mysql_global_variables_max", "mysql_global_variables_innodb", "mysql_binlog")):
            assert ours.samples[series] == value, series
    assert ours.value("mysql_up") == 1
    assert len(ours.samples) > 1000


@pytest.mark.peer
def test_every_collector_shows_what_it_is_for(server: Server) -> None:
    ours = server.check(collectors=ALL, address=f"unix:{server.socket}")
    assert ours.error is None
    assert ours.value("mysql_info_schema_table_size", schema="shop", component="data_length") > 0
    assert ours.value("mysql_binlog_files") >= 1
    assert ours.value("mysql_engine_innodb_history_list_length") >= 0
    for metric in (
        "mysql_info_schema_innodb_metrics_buffer_buffer_pool_reads_total",
        "mysql_info_schema_processlist_threads",
        "mysql_perf_schema_events_statements_total",
        "mysql_info_schema_innodb_cmp_compress_ops_total",
    ):
        assert ours.of(metric) or metric.endswith("threads"), metric


@pytest.mark.peer
def test_replica_shows_how_it_follows(server: Server, template: Path, tmp_path: Path) -> None:
    import time

    for replica in start_server(tmp_path, template, "--server-id=2"):
        told = (
            f"master_host='127.0.0.1', master_port={server.port}, master_user='guarded', master_password='open sesame'"
        )
        replica.sql(f"change master to {told}, master_use_gtid=slave_pos; start slave")
        deadline = time.monotonic() + 10
        while not any(replica.check().of("mysql_slave_status_slave_sql_running").values()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ours = replica.check()
        labels = {"master_host": "127.0.0.1"}
        assert ours.value("mysql_slave_status_master_port", **labels) == server.port
        assert ours.types["mysql_slave_status_slave_sql_running"] == "untyped"


@pytest.mark.peer
def test_refused_collector_costs_its_own_metrics_alone(server: Server) -> None:
    server.sql("create or replace user poor@localhost identified by 'x'")
    ours = server.check(user="poor", password=Secret("x"), collectors=("engine_innodb_status",))
    assert ours.value("mysql_up") == 1
    assert "engine_innodb_status" in str(ours.error)
    assert ours.value("mysql_global_status_uptime") >= 0


@pytest.mark.peer
def test_password_is_sent_and_a_wrong_one_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open sesame\n")
    assert server.check(user="guarded", password_file=str(tmp_path / "password")).value("mysql_up") == 1
    wrong = server.check(user="guarded", password=Secret("guess"))
    assert (wrong.value("mysql_up"), "Access denied" in str(wrong.error)) == (0, True)
    without_tls = server.check(tls=True)
    assert (without_tls.value("mysql_up"), without_tls.error is not None) == (0, True)


def test_silence_and_garbage_are_down_with_the_reason_in_time() -> None:
    pytest.importorskip("pymysql", reason="the extra nunchi[mysql] is not installed")
    with silent_peer() as port:
        shown = measure(MysqlCheck(MysqlSettings(address=f"127.0.0.1:{port}")), deadline_seconds=0.5)
        assert (shown.value("mysql_up"), shown.seconds < 0.5) == (0, True)
        assert "no whole answer within 0.4 s" in str(shown.error)
    for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x00" * 64, b"\x05\x00\x00\x00\x0aabc"):
        with saying_peer(answer) as port:
            shown = measure(MysqlCheck(MysqlSettings(address=f"127.0.0.1:{port}")), deadline_seconds=2)
            assert (shown.value("mysql_up"), shown.seconds < 2) == (0, True)
            assert str(shown.error).startswith(f"127.0.0.1:{port}: ")


def test_absent_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    shown = measure(MysqlCheck(MysqlSettings()))
    assert shown.value("mysql_up") == 0
    assert "pip install 'nunchi[mysql]'" in str(shown.error)


def test_galera_node_is_shown_in_numbers_and_words() -> None:
    emission = Emission()
    emit_status(
        emission,
        {
            "wsrep_cluster_status": "Primary",
            "wsrep_ready": "ON",
            "wsrep_cluster_size": "3",
            "wsrep_local_state_uuid": "u1",
            "wsrep_cluster_state_uuid": "u2",
            "wsrep_provider_version": "26.4.14",
            "wsrep_evs_repl_latency": "0.1/0.2/0.3/0.05/42",
            "wsrep_incoming_addresses": "10.0.0.1:0,10.0.0.2:0",
        },
    )
    emit_variables(
        emission, {"wsrep_cluster_name": "shop", "wsrep_provider_options": "gcache.size = 128M; gcs.fc_limit = 16"}
    )
    shown = {(name, labels): value for name, labels, value in emission.samples}
    assert shown["mysql_global_status_wsrep_cluster_status", ()] == 1
    assert shown["mysql_global_status_wsrep_ready", ()] == 1
    assert shown["mysql_galera_evs_repl_latency_max_seconds", ()] == 0.3
    assert shown["mysql_galera_gcache_size_bytes", ()] == 128 << 20
    assert ("mysql_galera_variables_info", (("wsrep_cluster_name", "shop"),)) in shown
    assert "mysql_global_status_wsrep_incoming_addresses" not in emission.types
