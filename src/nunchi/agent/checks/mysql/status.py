"""SHOW GLOBAL STATUS and SHOW GLOBAL VARIABLES as mysqld_exporter shows them."""

import re
from collections.abc import Mapping

from nunchi.agent.emission import Emission

GROUPED = re.compile(r"(com|handler|connection_errors|innodb_buffer_pool_pages|innodb_rows|performance_schema)_(.*)")
GROUPS = {
    "com": ("commands_total", "command"),
    "handler": ("handlers_total", "handler"),
    "connection_errors": ("connection_errors_total", "error"),
    "innodb_rows": ("innodb_row_ops_total", "operation"),
    "performance_schema": ("performance_schema_lost_total", "instrumentation"),
}
PAGE_STATES = frozenset({"data", "free", "misc", "old"})
NAME = re.compile(r"[a-z_:][a-z0-9_:]*")
WORDS = {
    "yes": 1.0,
    "on": 1.0,
    "no": 0.0,
    "off": 0.0,
    "disabled": 0.0,
    "primary": 1.0,
    "non-primary": 0.0,
    "disconnected": 0.0,
    "connecting": 0.0,
}
LOG_FILE = re.compile(r".*\.(\d+)$")
STATUS_PREFIX = "mysql_global_status"
VARIABLES_PREFIX = "mysql_global_variables"
WSREP_LABELS = ("wsrep_local_state_uuid", "wsrep_cluster_state_uuid", "wsrep_provider_version")
EVS_LATENCY = "wsrep_evs_repl_latency"
EVS_WORDS = ("min_seconds", "avg_seconds", "max_seconds", "stdev", "sample_size")
VERSION_LABELS = ("innodb_version", "version", "version_comment")
GCACHE = re.compile(r"gcache\.size\s*=\s*(\d+)([MG]?)")
UNITS = {"": 1, "M": 1 << 20, "G": 1 << 30}


def find_number(text: str) -> float | None:
    """A number, or one of the words that stand for one."""
    word = text.strip().lower()
    if word in WORDS:
        return WORDS[word]
    log_file = LOG_FILE.fullmatch(text)
    try:
        return float(text)
    except ValueError:
        return float(log_file[1]) if log_file else None


def emit_status(emit: Emission, status: Mapping[str, str]) -> None:
    """Every status variable that is a number; groups become one metric with a label."""
    for key, text in status.items():
        value = find_number(text)
        if value is None or not NAME.fullmatch(key):
            continue
        group = GROUPED.fullmatch(key)
        if group is None:
            emit.unknown(f"{STATUS_PREFIX}_{key}", value)
        elif group[1] != "innodb_buffer_pool_pages":
            metric, label = GROUPS[group[1]]
            emit.counter(f"{STATUS_PREFIX}_{metric}", value, **{label: group[2]})
        elif group[2] in PAGE_STATES:
            emit.gauge(f"{STATUS_PREFIX}_buffer_pool_pages", value, state=group[2])
        elif group[2] == "dirty":
            emit.gauge(f"{STATUS_PREFIX}_buffer_pool_dirty_pages", value)
        elif group[2] != "total":
            emit.counter(f"{STATUS_PREFIX}_buffer_pool_page_changes_total", value, operation=group[2])
    emit_galera_status(emit, status)


def emit_galera_status(emit: Emission, status: Mapping[str, str]) -> None:
    """What a cluster's node says in words."""
    if status.get("wsrep_local_state_uuid"):
        emit.gauge("mysql_galera_status_info", 1, **{label: status.get(label, "") for label in WSREP_LABELS})
    parts = status.get(EVS_LATENCY, "").split("/")
    if len(parts) == len(EVS_WORDS):
        for word, part in zip(EVS_WORDS, parts, strict=True):
            emit.gauge(f"mysql_galera_evs_repl_latency_{word}", float(part))


def emit_variables(emit: Emission, variables: Mapping[str, str]) -> None:
    """Every variable that is a number or a switch, the version, the isolation level, and what concerns a cluster."""
    for key, text in variables.items():
        name = key.replace(".", "_")
        value = find_number(text)
        if value is not None and NAME.fullmatch(name):
            emit.gauge(f"{VARIABLES_PREFIX}_{name}", value)
    emit.gauge("mysql_version_info", 1, **{label: variables.get(label, "") for label in VERSION_LABELS})
    if variables.get("wsrep_cluster_name"):
        emit.gauge("mysql_galera_variables_info", 1, wsrep_cluster_name=variables["wsrep_cluster_name"])
    gcache = GCACHE.search(variables.get("wsrep_provider_options", ""))
    if gcache:
        emit.gauge("mysql_galera_gcache_size_bytes", int(gcache[1]) * UNITS[gcache[2]])
    level = variables.get("transaction_isolation") or variables.get("tx_isolation")
    if level:
        emit.gauge("mysql_transaction_isolation", 1, level=level)
