"""What is beyond status and variables: replication, InnoDB, the binary log, sessions, schemas, statements. One function each.

Invariant: a collector asks a bounded question and emits what it gets; what the server refuses is its caller's to contain.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from nunchi.agent.checks.mysql.connection import MysqlConnection, MysqlRefusalError, Row
from nunchi.agent.checks.mysql.status import find_number
from nunchi.agent.emission import Emission

ROWS_MAX = 1000
LOGS_MAX = 20_000
REPLICA_QUESTIONS = ("SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
REPLICA_LABELS = ("channel_name", "connection_name", "master_host", "master_uuid")
NOT_A_NAME = re.compile(r"[^a-z0-9_]")
QUERIES_IN = re.compile(r"(\d+) queries inside InnoDB, (\d+) queries in queue")
READ_VIEWS = re.compile(r"(\d+) read views open inside InnoDB")
HISTORY = re.compile(r"History list length (\d+)")

Collect = Callable[[MysqlConnection, Emission], None]


def text_of(value: Any) -> str:
    """A column as text; empty for NULL."""
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def lower(row: Row) -> dict[str, str]:
    """A row by lower-case names, its values as text."""
    return {key.lower(): text_of(value) for key, value in row.items()}


def collect_replica(connection: MysqlConnection, emit: Emission) -> None:
    """`mysql_slave_status_*`, one set a channel; nothing where the server replicates nothing."""
    for question in REPLICA_QUESTIONS:
        try:
            rows = connection.query(question, ROWS_MAX)
        except MysqlRefusalError:
            if question == REPLICA_QUESTIONS[-1]:
                raise
            continue
        for row in map(lower, rows):
            named = {
                column.replace("source_", "master_").replace("replica_", "slave_"): text for column, text in row.items()
            }
            labels = {label: named.get(label, "") for label in REPLICA_LABELS}
            for column, text in named.items():
                value = find_number(text) if text else None
                if value is not None:
                    emit.unknown(f"mysql_slave_status_{NOT_A_NAME.sub('_', column)}", value, **labels)
        return


def collect_innodb_compression(connection: MysqlConnection, emit: Emission) -> None:
    """`mysql_info_schema_innodb_cmp_*` and `…_cmpmem_*`: compressed pages by their size."""
    question = (
        "SELECT page_size, compress_ops, compress_ops_ok, compress_time, uncompress_ops, uncompress_time"
        " FROM information_schema.innodb_cmp"
    )
    names = {
        "compress_ops": "compress_ops_total",
        "compress_ops_ok": "compress_ops_ok_total",
        "compress_time": "compress_time_seconds_total",
        "uncompress_ops": "uncompress_ops_total",
        "uncompress_time": "uncompress_time_seconds_total",
    }
    for row in map(lower, connection.query(question, ROWS_MAX)):
        for column, metric in names.items():
            emit.counter(f"mysql_info_schema_innodb_cmp_{metric}", float(row[column]), page_size=row["page_size"])
    question = (
        "SELECT page_size, buffer_pool_instance, pages_used, pages_free, relocation_ops, relocation_time"
        " FROM information_schema.innodb_cmpmem"
    )
    for row in map(lower, connection.query(question, ROWS_MAX)):
        labels = {"page_size": row["page_size"], "buffer_pool": row["buffer_pool_instance"]}
        emit.counter("mysql_info_schema_innodb_cmpmem_pages_used_total", float(row["pages_used"]), **labels)
        emit.counter("mysql_info_schema_innodb_cmpmem_pages_free_total", float(row["pages_free"]), **labels)
        emit.counter("mysql_info_schema_innodb_cmpmem_relocation_ops_total", float(row["relocation_ops"]), **labels)
        seconds = float(row["relocation_time"]) / 1000
        emit.counter("mysql_info_schema_innodb_cmpmem_relocation_time_seconds_total", seconds, **labels)


def collect_innodb_status(connection: MysqlConnection, emit: Emission) -> None:
    """`mysql_engine_innodb_*`, from the text of SHOW ENGINE INNODB STATUS."""
    rows = connection.query("SHOW ENGINE INNODB STATUS", 1)
    text = "".join(lower(row).get("status", "") for row in rows)
    queries, views, history = QUERIES_IN.search(text), READ_VIEWS.search(text), HISTORY.search(text)
    if queries:
        emit.gauge("mysql_engine_innodb_queries_inside_innodb", float(queries[1]))
        emit.gauge("mysql_engine_innodb_queries_in_queue", float(queries[2]))
    if views:
        emit.gauge("mysql_engine_innodb_read_views_open_inside_innodb", float(views[1]))
    if history:
        emit.gauge("mysql_engine_innodb_history_list_length", float(history[1]))


def collect_innodb_metrics(connection: MysqlConnection, emit: Emission) -> None:
    """`mysql_info_schema_innodb_metrics_<subsystem>_<name>`: InnoDB's own counters, those that are on."""
    is_on = "enabled = 1" if is_mariadb(connection) else "status = 'enabled'"
    question = f"SELECT name, subsystem, type, count FROM information_schema.innodb_metrics WHERE {is_on}"  # noqa: S608 - constant
    for row in map(lower, connection.query(question, ROWS_MAX)):
        name = NOT_A_NAME.sub("_", f"{row['subsystem']}_{row['name']}".lower())
        is_counter = row["type"] in {"counter", "status_counter", "set_member"}
        metric = f"mysql_info_schema_innodb_metrics_{name}{'_total' if is_counter else ''}"
        (emit.counter if is_counter else emit.gauge)(metric, float(row["count"]))


def collect_binary_log(connection: MysqlConnection, emit: Emission) -> None:
    """`mysql_binlog_*`; nothing where no binary log is kept."""
    if not any(find_number(lower(row)["value"]) for row in connection.query("SHOW VARIABLES LIKE 'log_bin'", 1)):
        return
    rows = [lower(row) for row in connection.query("SHOW BINARY LOGS", LOGS_MAX)]
    emit.gauge("mysql_binlog_size_bytes", sum(float(row["file_size"]) for row in rows))
    emit.gauge("mysql_binlog_files", len(rows))
    emit.gauge("mysql_binlog_file_number", (find_number(rows[-1]["log_name"]) or 0) if rows else 0)


def collect_processlist(connection: MysqlConnection, emit: Emission) -> None:
    """`mysql_info_schema_processlist_*`: sessions by command and state, and by user."""
    question = (
        "SELECT coalesce(command, '') AS command, coalesce(state, '') AS state, count(*) AS number,"
        " sum(time) AS seconds FROM information_schema.processlist WHERE id <> connection_id() GROUP BY 1, 2"
    )
    for row in map(lower, connection.query(question, ROWS_MAX)):
        labels = {key: re.sub(r"\W+", "_", row[key].lower()).strip("_") or "unknown" for key in ("command", "state")}
        emit.gauge("mysql_info_schema_processlist_threads", float(row["number"]), **labels)
        emit.gauge("mysql_info_schema_processlist_seconds", float(row["seconds"] or 0), **labels)
    question = "SELECT user, count(*) AS number FROM information_schema.processlist GROUP BY 1"
    for row in map(lower, connection.query(question, ROWS_MAX)):
        emit.gauge("mysql_info_schema_processlist_processes_by_user", float(row["number"]), mysql_user=row["user"])


def collect_tables(connection: MysqlConnection, emit: Emission) -> None:
    """`mysql_info_schema_table_*` by schema: rows and bytes, summed over each schema's tables."""
    question = (
        "SELECT table_schema AS name, sum(table_rows) AS number, sum(data_length) AS data, sum(index_length) AS indexes,"
        " sum(data_free) AS free FROM information_schema.tables WHERE table_schema NOT IN"
        " ('mysql', 'information_schema', 'performance_schema', 'sys') GROUP BY 1"
    )
    for row in map(lower, connection.query(question, ROWS_MAX)):
        emit.gauge("mysql_info_schema_table_rows", float(row["number"] or 0), schema=row["name"])
        for component, column in (("data_length", "data"), ("index_length", "indexes"), ("data_free", "free")):
            emit.gauge("mysql_info_schema_table_size", float(row[column] or 0), schema=row["name"], component=component)


def collect_statements(connection: MysqlConnection, emit: Emission) -> None:
    """`mysql_perf_schema_events_statements_*`: the statements that took most, if performance_schema counts them."""
    question = (
        "SELECT coalesce(schema_name, 'NONE') AS name, digest, left(digest_text, 120) AS digest_text, count_star,"
        " sum_timer_wait / 1e12 AS seconds, sum_errors, sum_rows_sent, sum_rows_examined"
        " FROM performance_schema.events_statements_summary_by_digest ORDER BY sum_timer_wait DESC LIMIT 250"
    )
    names = {
        "count_star": "total",
        "seconds": "seconds_total",
        "sum_errors": "errors_total",
        "sum_rows_sent": "rows_sent_total",
        "sum_rows_examined": "rows_examined_total",
    }
    for row in map(lower, connection.query(question, ROWS_MAX)):
        labels = {"schema": row["name"], "digest": row["digest"], "digest_text": row["digest_text"]}
        for column, metric in names.items():
            emit.counter(f"mysql_perf_schema_events_statements_{metric}", float(row[column] or 0), **labels)


def is_mariadb(connection: MysqlConnection) -> bool:
    """Whether the server is MariaDB."""
    rows: Sequence[Row] = connection.query("SELECT version() AS version", 1)
    return any("mariadb" in lower(row)["version"].lower() for row in rows)


COLLECTORS: dict[str, Collect] = {
    "slave_status": collect_replica,
    "innodb_cmp": collect_innodb_compression,
    "engine_innodb_status": collect_innodb_status,
    "innodb_metrics": collect_innodb_metrics,
    "binlog_size": collect_binary_log,
    "processlist": collect_processlist,
    "tables": collect_tables,
    "statements": collect_statements,
}
