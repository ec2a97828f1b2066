# ruff: noqa: E501, S608  # SQL is read in long lines; what is put into it are the names of columns in this file
"""Which question about PostgreSQL gives which metrics of postgres_exporter: a table of SQL, versions, labels and columns.

Invariant: a query selects its labels and columns by the names given here; NULL is 0 where `null_is_zero`, else left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

COUNTER, GAUGE = "counter", "gauge"
VERSION_MAX = 10**9


@dataclass(frozen=True, slots=True)
class Query:
    """`columns`: column → (metric, type). `version_min` and `version_max` are of server_version_num, the second excluded."""

    name: str
    sql: str
    columns: Mapping[str, tuple[str, str]]
    labels: tuple[str, ...] = ()
    version_min: int = 0
    version_max: int = VERSION_MAX
    has_server_label: bool = False
    null_is_zero: bool = True


def columns(prefix: str, counters: str = "", gauges: str = "", suffix: str = "") -> dict[str, tuple[str, str]]:
    """Columns whose metrics are called as they are."""
    found = {name: (f"{prefix}_{name}{suffix}", COUNTER) for name in counters.split()}
    return found | {name: (f"{prefix}_{name}", GAUGE) for name in gauges.split()}


DATABASE_COUNTERS = """
xact_commit xact_rollback blks_read blks_hit tup_returned tup_fetched tup_inserted tup_updated tup_deleted conflicts temp_files
temp_bytes deadlocks blk_read_time blk_write_time
"""
TABLE_COUNTERS = """
seq_scan seq_tup_read idx_scan idx_tup_fetch n_tup_ins n_tup_upd n_tup_del n_tup_hot_upd vacuum_count autovacuum_count
analyze_count autoanalyze_count
"""
TABLE_TIMES = "last_vacuum last_autovacuum last_analyze last_autoanalyze"
BLOCKS = {
    f"{word}_blks_{kind}": f"{word}_blocks_{kind}"
    for word in ("heap", "idx", "toast", "tidx")
    for kind in ("read", "hit")
}

SERVER_QUERIES: tuple[Query, ...] = (
    Query(
        "database",
        "SELECT datname, datconnlimit AS connection_limit, pg_database_size(oid) AS size_bytes FROM pg_database"
        " WHERE datallowconn AND has_database_privilege(oid, 'CONNECT') OR datistemplate",
        columns("pg_database", gauges="connection_limit size_bytes"),
        ("datname",),
    ),
    Query(
        "locks",
        "SELECT d.datname, m.mode, coalesce(l.count, 0) AS count FROM pg_database d CROSS JOIN (VALUES"
        " ('accesssharelock'), ('rowsharelock'), ('rowexclusivelock'), ('shareupdateexclusivelock'), ('sharelock'),"
        " ('sharerowexclusivelock'), ('exclusivelock'), ('accessexclusivelock'), ('sireadlock')) m(mode)"
        " LEFT JOIN (SELECT database, lower(mode) AS mode, count(*) FROM pg_locks WHERE database IS NOT NULL GROUP BY 1, 2) l"
        " ON l.database = d.oid AND l.mode = m.mode",
        columns("pg_locks", gauges="count"),
        ("datname", "mode"),
    ),
    Query(
        "replication",
        "SELECT pg_is_in_recovery()::int AS is_replica, coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)"
        " AS last_replay_seconds, CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"
        " THEN 0 ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) END AS lag_seconds",
        columns("pg_replication", gauges="is_replica last_replay_seconds lag_seconds"),
        version_min=100000,
    ),
    Query(
        "replication_slot",
        "SELECT slot_name, slot_type, (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END"
        " - '0/0') AS slot_current_wal_lsn, confirmed_flush_lsn - '0/0' AS slot_confirmed_flush_lsn, active::int AS slot_is_active"
        " FROM pg_replication_slots",
        columns("pg_replication_slot", gauges="slot_current_wal_lsn slot_confirmed_flush_lsn slot_is_active"),
        ("slot_name", "slot_type"),
        version_min=100000,
        null_is_zero=False,
    ),
    Query(
        "stat_replication",
        "SELECT coalesce(application_name, '') AS application_name, coalesce(host(client_addr), 'local') AS client_addr, state,"
        " (pg_current_wal_lsn() - '0/0')::float AS pg_current_wal_lsn_bytes,"
        " pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float AS pg_wal_lsn_diff,"
        " extract(epoch FROM write_lag) AS write_lag_seconds, extract(epoch FROM flush_lag) AS flush_lag_seconds,"
        " extract(epoch FROM replay_lag) AS replay_lag_seconds FROM pg_stat_replication WHERE NOT pg_is_in_recovery()",
        columns(
            "pg_stat_replication",
            gauges="pg_current_wal_lsn_bytes pg_wal_lsn_diff write_lag_seconds flush_lag_seconds replay_lag_seconds",
        ),
        ("application_name", "client_addr", "state"),
        version_min=100000,
        has_server_label=True,
    ),
    Query(
        "roles",
        "SELECT rolname, rolconnlimit AS connection_limit FROM pg_roles",
        columns("pg_roles", gauges="connection_limit"),
        ("rolname",),
    ),
    Query(
        "stat_archiver",
        "SELECT archived_count, failed_count, coalesce(extract(epoch FROM now() - last_archived_time), 'NaN') AS last_archive_age"
        " FROM pg_stat_archiver",
        columns("pg_stat_archiver", "archived_count failed_count", "last_archive_age"),
        has_server_label=True,
    ),
    Query(
        "stat_bgwriter",
        "SELECT checkpoints_timed, checkpoints_req, checkpoint_write_time, checkpoint_sync_time, buffers_checkpoint, buffers_clean,"
        " maxwritten_clean, buffers_backend, buffers_backend_fsync, buffers_alloc, extract(epoch FROM stats_reset) AS stats_reset"
        " FROM pg_stat_bgwriter",
        columns(
            "pg_stat_bgwriter",
            "checkpoints_timed checkpoints_req checkpoint_write_time checkpoint_sync_time buffers_checkpoint buffers_clean"
            " maxwritten_clean buffers_backend buffers_backend_fsync buffers_alloc stats_reset",
            suffix="_total",
        ),
        version_max=170000,
    ),
    Query(
        "stat_bgwriter",
        "SELECT buffers_clean, maxwritten_clean, buffers_alloc, extract(epoch FROM stats_reset) AS stats_reset FROM pg_stat_bgwriter",
        columns("pg_stat_bgwriter", "buffers_clean maxwritten_clean buffers_alloc stats_reset", suffix="_total"),
        version_min=170000,
    ),
    Query(
        "stat_checkpointer",
        "SELECT num_timed, num_requested, restartpoints_timed, restartpoints_req, restartpoints_done, write_time, sync_time,"
        " buffers_written, extract(epoch FROM stats_reset) AS stats_reset FROM pg_stat_checkpointer",
        columns(
            "pg_stat_checkpointer",
            "num_timed num_requested restartpoints_timed restartpoints_req restartpoints_done write_time sync_time buffers_written"
            " stats_reset",
            suffix="_total",
        ),
        version_min=170000,
    ),
    Query(
        "stat_database",
        "SELECT d.oid::text AS datid, d.datname, s.numbackends, s.xact_commit, s.xact_rollback, s.blks_read, s.blks_hit,"
        " s.tup_returned, s.tup_fetched, s.tup_inserted, s.tup_updated, s.tup_deleted, s.conflicts, s.temp_files, s.temp_bytes,"
        " s.deadlocks, s.blk_read_time, s.blk_write_time, extract(epoch FROM s.stats_reset) AS stats_reset"
        " FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid",
        columns("pg_stat_database", DATABASE_COUNTERS + "stats_reset", "numbackends"),
        ("datid", "datname"),
    ),
    Query(
        "stat_database_active_time",
        "SELECT datid::text AS datid, datname, active_time / 1000 AS active_time FROM pg_stat_database WHERE datid <> 0",
        {"active_time": ("pg_stat_database_active_time_seconds_total", COUNTER)},
        ("datid", "datname"),
        version_min=140000,
    ),
    Query(
        "stat_database_conflicts",
        "SELECT datid::text AS datid, datname, confl_tablespace, confl_lock, confl_snapshot, confl_bufferpin, confl_deadlock"
        " FROM pg_stat_database_conflicts",
        columns("pg_stat_database_conflicts", "confl_tablespace confl_lock confl_snapshot confl_bufferpin confl_deadlock"),
        ("datid", "datname"),
        has_server_label=True,
    ),
    Query(
        "wal",
        "SELECT count(*) AS segments, sum(size) AS size_bytes FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'",
        columns("pg_wal", gauges="segments size_bytes"),
        version_min=100000,
    ),
    Query(
        "wraparound",
        "SELECT datname, age(datfrozenxid) AS datfrozenxid_seconds, mxid_age(datminmxid) AS datminmxid_seconds"
        " FROM pg_database WHERE datallowconn",
        columns("pg_database_wraparound_age", gauges="datfrozenxid_seconds datminmxid_seconds"),
        ("datname",),
        version_min=90500,
    ),
    Query(
        "long_running_transactions",
        "SELECT count(*) AS transactions, coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)"
        " AS oldest_timestamp_seconds FROM pg_stat_activity WHERE state IS DISTINCT FROM 'idle'"
        " AND query NOT LIKE 'autovacuum:%' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()",
        {
            "transactions": ("pg_long_running_transactions", GAUGE),
            "oldest_timestamp_seconds": ("pg_long_running_transactions_oldest_timestamp_seconds", GAUGE),
        },
    ),
)  # fmt: skip

RELATION_QUERIES: tuple[Query, ...] = (
    Query(
        "stat_user_tables",
        "SELECT current_database() AS datname, schemaname, relname, "
        + ", ".join(TABLE_COUNTERS.split())
        + ", n_live_tup, n_dead_tup, n_mod_since_analyze, pg_total_relation_size(relid) AS size_bytes,"
        " pg_table_size(relid) AS table_size_bytes, pg_indexes_size(relid) AS index_size_bytes, "
        + ", ".join(f"coalesce(extract(epoch FROM {name}), 0) AS {name}" for name in TABLE_TIMES.split())
        + " FROM pg_stat_user_tables",
        columns(
            "pg_stat_user_tables",
            TABLE_COUNTERS,
            f"n_live_tup n_dead_tup n_mod_since_analyze size_bytes table_size_bytes index_size_bytes {TABLE_TIMES}",
        ),
        ("datname", "schemaname", "relname"),
        version_min=90400,
    ),
    Query(
        "statio_user_tables",
        "SELECT current_database() AS datname, schemaname, relname, "
        + ", ".join(BLOCKS)
        + " FROM pg_statio_user_tables",
        {column: (f"pg_statio_user_tables_{metric}", COUNTER) for column, metric in BLOCKS.items()},
        ("datname", "schemaname", "relname"),
    ),
)

STATEMENTS_QUERY = Query(
    "stat_statements",
    "SELECT u.rolname AS \"user\", d.datname, s.queryid::text AS queryid, s.calls, s.total_exec_time / 1000 AS seconds, s.rows,"
    " s.blk_read_time / 1000 AS block_read_seconds, s.blk_write_time / 1000 AS block_write_seconds FROM pg_stat_statements s"
    " JOIN pg_roles u ON u.oid = s.userid JOIN pg_database d ON d.oid = s.dbid ORDER BY s.total_exec_time DESC",
    {
        name: (f"pg_stat_statements_{name}_total", COUNTER)
        for name in ("calls", "seconds", "rows", "block_read_seconds", "block_write_seconds")
    },
    ("user", "datname", "queryid"),
    version_min=130000,
    version_max=170000,
)  # fmt: skip
