"""A MongoDB server (3.6 and later), under mongodb_exporter's names: server status, replica set, databases, collections."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from nunchi.agent.check import Context
from nunchi.agent.check_database import DatabaseCheck, DatabaseSettings
from nunchi.agent.clients.deadline import Deadline
from nunchi.agent.clients.mongodb import MongoClient, MongoError
from nunchi.agent.emission import Emission

DATABASES_MAX = 100
COLLECTIONS_MAX = 500
DEPTH_MAX = 12
SHORT = (
    ("serverStatus.wiredTiger.transaction", "ss_wt_txn"),
    ("serverStatus.wiredTiger", "ss_wt"),
    ("serverStatus", "ss"),
    ("replSetGetStatus", "rs"),
)
# Documents whose fields become values of a label instead of names.
LABELS = {
    "serverStatus.asserts": "assert_type",
    "serverStatus.connections": "conn_type",
    "serverStatus.globalLock.currentQueue": "count_type",
    "serverStatus.metrics.commands": "cmd_name",
    "serverStatus.metrics.cursor.open": "csr_type",
    "serverStatus.metrics.document": "doc_op_type",
    "serverStatus.opLatencies": "op_type",
    "serverStatus.opReadConcernCounters": "concern_type",
    "serverStatus.opcounters": "legacy_op_type",
    "serverStatus.opcountersRepl": "legacy_op_type",
    "serverStatus.transactions.commitTypes": "commit_type",
    "serverStatus.wiredTiger.concurrentTransactions": "txn_rw_type",
    "serverStatus.wiredTiger.perf": "perf_bucket",
}
NOT_A_NAME = re.compile(r"[^a-zA-Z0-9]+")
DATABASE_FIELDS = (
    "collections", "views", "objects", "avgObjSize", "dataSize", "storageSize", "indexes", "indexSize", "totalSize",
    "fsUsedSize", "fsTotalSize",
)  # fmt: skip


class MongodbSettings(DatabaseSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`top`: use of collections; `databases`: sizes of databases."""

    default_port = 27017

    address: str = "127.0.0.1:27017"
    username: str = ""
    auth_database: str = "admin"
    databases: bool = True
    top: bool = False


class MongodbCheck(DatabaseCheck):
    """`mongodb_*`. What the server refuses to tell fails the run; `mongodb_up` stays 1."""

    name = "mongodb"
    job = "mongodb"
    up_metric = "mongodb_up"
    settings_type = MongodbSettings

    def __init__(self, settings: MongodbSettings) -> None:
        super().__init__(settings)
        self._own = settings

    def measure(self, context: Context, deadline: Deadline) -> None:
        """See `ServiceCheck.measure`."""
        with self.connected(deadline) as connection:
            self._ask(MongoClient(connection), context.emit)

    def _ask(self, client: MongoClient, emit: Emission) -> None:
        if self._own.username:
            password = self._own.read_password()
            client.log_in(self._own.username, password, self._own.auth_database)
        status = client.run("admin", serverStatus=1)
        emit_document(emit, "serverStatus", status, {})
        version = str(status.get("version", ""))
        emit.gauge("mongodb_version_info", 1, mongodb=version)
        if "repl" in status:
            self._try(lambda: emit_replica_set(emit, client.run("admin", replSetGetStatus=1)))
        if self._own.databases:
            self._try(lambda: emit_databases(emit, client))
        if self._own.top:
            self._try(lambda: emit_top(emit, client.run("admin", top=1)))

    def _try(self, ask: Callable[[], None]) -> None:
        try:
            ask()
        except MongoError as error:
            self.note_refusal(f"{self.target}: {error}")


def emit_document(
    emit: Emission, path: str, document: Mapping[str, Any], labels: Mapping[str, str], depth: int = 0
) -> None:
    """Every number of a document, named by its path."""
    label = LABELS.get(path)
    for key, value in document.items():
        if isinstance(value, Mapping):
            if depth < DEPTH_MAX:
                emit_document(emit, f"{path}.{key}", value, labels, depth + 1)
        elif isinstance(value, (bool, int, float)):
            if label:
                emit.unknown(metric_name(path), float(value), **labels, **{label: key})
            else:
                emit.unknown(metric_name(f"{path}.{key}"), float(value), **labels)


def metric_name(path: str) -> str:
    """A path as a metric's name, its beginning shortened."""
    for long, short in SHORT:
        if path == long or path.startswith(f"{long}."):
            path = short + path.removeprefix(long)
            break
    return f"mongodb_{NOT_A_NAME.sub('_', path).strip('_')}"


def emit_replica_set(emit: Emission, status: Mapping[str, Any]) -> None:
    """The set's own state, and that of each member."""
    emit.gauge("mongodb_mongod_replset_my_state", float(status.get("myState") or 0), set=str(status.get("set", "")))
    for member in status.get("members") or []:
        if isinstance(member, Mapping):
            labels = {"member_idx": str(member.get("name", "")), "member_state": str(member.get("stateStr", ""))}
            emit_document(emit, "replSetGetStatus.members", member, labels)


def emit_databases(emit: Emission, client: MongoClient) -> None:
    """The sizes of each database."""
    listed = client.run("admin", listDatabases=1, nameOnly=True).get("databases") or []
    for database in listed[:DATABASES_MAX]:
        name = str(database.get("name", ""))
        stats = client.run(name, dbStats=1)
        for field in DATABASE_FIELDS:
            if isinstance(stats.get(field), (int, float)):
                emit.unknown(f"mongodb_dbstats_{field}", float(stats[field]), database=name)


def emit_top(emit: Emission, answer: Mapping[str, Any]) -> None:
    """How often and how long each collection was used, by kind of use."""
    totals = answer.get("totals") or {}
    for namespace, uses in list(totals.items())[:COLLECTIONS_MAX]:
        database, _, collection = namespace.partition(".")
        if not isinstance(uses, Mapping):
            continue
        for use, counts in uses.items():
            if isinstance(counts, Mapping):
                for field in ("count", "time"):
                    value = float(counts.get(field) or 0)
                    emit.unknown(f"mongodb_top_{use}_{field}", value, database=database, collection=collection)
