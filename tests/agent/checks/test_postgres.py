"""The PostgreSQL check on a real server, beside postgres_exporter on the same one."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
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

from nunchi.agent.checks.postgres import PostgresCheck, PostgresQuerySettings, PostgresSettings
from nunchi.agent.checks.postgres.server import unit_of
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError

# What is not as postgres_exporter shows it, and why.
EXCEPTIONS = {
    "pg_exporter_last_scrape_duration_seconds": "of the exporter itself",
    "pg_exporter_last_scrape_error": "likewise",
    "pg_exporter_scrapes_total": "likewise",
    "pg_scrape_collector_duration_seconds": "likewise: agent_check_duration_seconds",
    "pg_scrape_collector_success": "likewise: agent_check_failures_total",
    "pg_stat_activity_count": "each shows its own session; the rest is compared below",
    "pg_stat_activity_max_tx_duration": "likewise",
}
SESSIONS_END_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Server:
    port: int
    folder: Path

    def settings(self, **settings: object) -> PostgresSettings:
        return PostgresSettings(host="127.0.0.1", port=self.port, **settings)  # type: ignore[arg-type]

    def check(self, **settings: object) -> Measured:
        check = PostgresCheck(self.settings(**settings))
        try:
            return measure(check)
        finally:
            for connection in check._connections:
                connection.close()

    def check_alone(self, **settings: object) -> Measured:
        """A run at a moment without other sessions: one whose client has gone ends when the server finds the time."""
        deadline = time.monotonic() + SESSIONS_END_SECONDS_MAX
        while True:
            shown = self.check(**settings)
            sessions = {
                series: count
                for series, count in shown.samples.items()
                if series[0] == "pg_stat_activity_count" and ("state", "active") not in series[1]
            }
            assert sessions, shown.error
            if not any(sessions.values()):
                return shown
            assert time.monotonic() < deadline, sessions
            time.sleep(0.1)

    def sql(self, text: str) -> None:
        flags = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1"]
        subprocess.run([find_peer("psql"), *flags, "-c", text], check=True, capture_output=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="the extra nunchi[postgres] is not installed")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    initdb = str(programs[-1] / "initdb") if programs else find_peer("initdb")
    # Not below pytest's own folders: only their owner may enter those, and PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="nunchi-postgres-"))
    as_other: list[str] = []
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        as_other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    data, port = folder / "data", free_port()
    command = [*as_other, initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(command, check=True, capture_output=True)
    (data / "pg_hba.conf").write_text(
        "host all guarded all scram-sha-256\nhost all all all trust\nlocal all all trust\n"
    )
    run = [
        *as_other,
        str(Path(initdb).with_name("postgres")),
        "-D",
        str(data),
        "-p",
        str(port),
        "-k",
        str(folder),
        "-F",
    ]
    with started(
        [*run, "-c", "listen_addresses=127.0.0.1"],
        listens(port),
        tmp_path_factory.mktemp("postgres") / "log",
        stop_signal=signal.SIGINT,
    ):
        found = Server(port, folder)
        found.sql("create table orders(id int primary key, state text, paid numeric)")
        found.sql(
            "insert into orders select n, case when n % 2 = 0 then 'open' else 'done' end, 1.5 from generate_series(1, 100) n"
        )
        found.sql("create table other(id int)")
        found.sql("create role guarded login password 'open sesame'")
        yield found
    shutil.rmtree(folder)


@pytest.mark.peer
def test_all_that_postgres_exporter_shows_is_shown(server: Server, tmp_path: Path) -> None:
    program = find_exporter((0, 17), "prometheus-postgres-exporter", "postgres_exporter")
    port = free_port()
    source = f"postgresql://postgres@127.0.0.1:{server.port}/postgres?sslmode=disable"
    flags = [f"--web.listen-address=127.0.0.1:{port}"]
    with started([program, *flags], listens(port), tmp_path / "log", {"DATA_SOURCE_NAME": source}):
        theirs = exposition(f"http://127.0.0.1:{port}/metrics")
    ours = server.check_alone(relations=".")
    assert ours.error is None
    assert_alike(ours, theirs, ("pg_",), EXCEPTIONS)
    for series, value in theirs[0].items():
        if (
            series[0].startswith("pg_settings_") and series[0] != "pg_settings_extra_float_digits"
        ):  # their own session's
            assert ours.samples[series] == value, series
    without_sessions = {
        (name, labels)
        for (counted, labels), sessions in theirs[0].items()
        if counted == "pg_stat_activity_count" and not sessions and ("state", "active") not in labels
        for name in (counted, "pg_stat_activity_max_tx_duration")
    }
    assert without_sessions
    assert without_sessions - ours.samples.keys() == set()


@pytest.mark.peer
def test_relations_are_those_that_match_and_no_more_than_wanted(server: Server) -> None:
    server.sql("analyze")
    ours = server.check(relations=r"^public\.orders$")
    labels = {"datname": "postgres", "schemaname": "public", "relname": "orders"}
    assert ours.value("pg_stat_user_tables_n_live_tup", **labels) == 100
    assert ours.value("pg_stat_user_tables_index_size_bytes", **labels) > 0
    assert len(ours.of("pg_stat_user_tables_seq_scan")) == 1
    assert len(server.check(relations=".", relations_max=1).of("pg_stat_user_tables_seq_scan")) == 1
    assert server.check().of("pg_stat_user_tables_seq_scan") == {}


@pytest.mark.peer
def test_questions_of_ones_own_become_metrics(server: Server) -> None:
    question = PostgresQuerySettings(
        name="shop_orders",
        query="select state, count(*) as number, sum(paid) as paid, null::int as nothing from orders group by 1 order by 1",
        columns={"state": "label", "number": "gauge", "paid": "counter", "nothing": "gauge"},
    )
    ours = server.check(queries=(question,))
    assert ours.error is None
    assert ours.of("shop_orders_number") == {(("state", "done"),): 50, (("state", "open"),): 50}
    assert (ours.value("shop_orders_paid", state="done"), ours.types["shop_orders_paid"]) == (75, "counter")
    assert ours.of("shop_orders_nothing") == {}
    bounded = PostgresQuerySettings(
        name="n", query="select generate_series(1, 1000) as n", columns={"n": "discard"}, rows_max=3
    )
    assert server.check(queries=(bounded,)).error is None


@pytest.mark.peer
def test_refused_question_costs_its_own_metrics_alone(server: Server) -> None:
    wrong = PostgresQuerySettings(name="wrong", query="select nothing from nowhere", columns={"nothing": "gauge"})
    writing = PostgresQuerySettings(name="writing", query="delete from orders returning id", columns={"id": "gauge"})
    ours = server.check(queries=(wrong, writing))
    assert ours.value("pg_up") == 1
    assert 'relation "nowhere" does not exist' in str(ours.error)
    assert "read-only transaction" in str(ours.error)
    assert len(ours.of("pg_stat_database_xact_commit")) == 3


@pytest.mark.peer
def test_connection_is_kept_between_runs_and_made_again_when_it_is_lost(server: Server) -> None:
    check = PostgresCheck(server.settings())
    assert measure(check).error is None
    first = check._connections[0]._connection
    assert measure(check).error is None
    assert check._connections[0]._connection is first
    server.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nunchi-agent'")
    lost = measure(check)
    assert (lost.value("pg_up"), "terminating connection" in str(lost.error)) == (0, True)
    assert measure(check).value("pg_up") == 1
    check._connections[0].close()


@pytest.mark.peer
def test_query_that_takes_too_long_ends_at_the_deadline(server: Server) -> None:
    slow = PostgresQuerySettings(name="slow", query="select pg_sleep(30)::text as t", columns={"t": "label"})
    check = PostgresCheck(server.settings(queries=(slow,)))
    shown = measure(check, deadline_seconds=3)
    assert shown.error is not None
    assert shown.seconds < 3
    check._connections[0].close()


@pytest.mark.peer
def test_wrong_password_and_absent_server_are_down_with_the_reason(server: Server) -> None:
    assert server.check(user="guarded", password=Secret("open sesame")).value("pg_up") == 1
    wrong = server.check(user="guarded", password=Secret("guess"))
    assert (wrong.value("pg_up"), "password authentication failed" in str(wrong.error)) == (0, True)
    assert server.check(sslmode="require").value("pg_up") == 0
    absent = measure(PostgresCheck(PostgresSettings(port=free_port())))
    assert (absent.value("pg_up"), "refused" in str(absent.error)) == (0, True)


def test_silence_and_garbage_are_down_in_time() -> None:
    pytest.importorskip("psycopg", reason="the extra nunchi[postgres] is not installed")
    with silent_peer() as port:
        shown = measure(PostgresCheck(PostgresSettings(port=port)), deadline_seconds=3)
        assert (shown.value("pg_up"), shown.seconds < 3) == (0, True)
    with saying_peer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        shown = measure(PostgresCheck(PostgresSettings(port=port)), deadline_seconds=3)
        assert (shown.value("pg_up"), shown.seconds < 3) == (0, True)


def test_absent_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    shown = measure(PostgresCheck(PostgresSettings()))
    assert shown.value("pg_up") == 0
    assert "pip install 'nunchi[postgres]'" in str(shown.error)


def test_units_become_seconds_and_bytes() -> None:
    assert [unit_of(unit) for unit in ("ms", "min", "8kB", "MB", "")] == [
        (0.001, "_seconds"),
        (60.0, "_seconds"),
        (8192.0, "_bytes"),
        (1048576.0, "_bytes"),
        (1.0, ""),
    ]


def test_wrong_settings_are_refused_with_the_cure() -> None:
    from nunchi.kit.durations import Duration

    with pytest.raises(FieldError, match="3s is the shortest"):
        PostgresSettings(deadline=Duration(1000))
    with pytest.raises(FieldError, match="exclude each other"):
        PostgresSettings(password=Secret("x"), password_file="y")
