"""Small things that are no samples and must outlive the process: entities by kind and id, and events, in one SQLite file.

For what people and agents make (agents, keys, later silences and dashboards), at human pace: a write is one
transaction, bodies are the owner's bytes, usually JSON. Bounded: entities of a kind, bytes of a body, events of a kind
by number and age. Invariant: what `put` or `remove` returned from survives a kill of the process; of two writers the
file knows one, this process.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nunchi.kit.clock import Clock
from nunchi.kit.errors import WorldError

ENTITIES_MAX = 200_000
BODY_BYTES_MAX = 1 << 20
EVENTS_MAX = 10_000
EVENT_AGE_MS_MAX = 90 * 24 * 3600 * 1000
TRIM_EVERY = 200
FILE_MODE = 0o600
VERSION = 1
IN_MEMORY = ":memory:"

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS entities (
    kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, changed_ms INTEGER NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_subject ON events (kind, subject, number);
"""


class RecordsError(WorldError):
    """The file cannot be read or written; says which and why."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a subject."""

    subject: str
    at_ms: int
    body: bytes


class Records:
    """Open before use; not for several threads."""

    def __init__(self, path: Path | None, clock: Clock) -> None:
        """`path` None: in memory, and gone with the process."""
        self._path = path
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._events_since_trim = 0

    def open(self) -> None:
        """Open the file, making it where there is none. Raises RecordsError."""
        try:
            if self._path is not None:
                self._path.touch(FILE_MODE)
            self._connection = sqlite3.connect(self._path or IN_MEMORY, isolation_level=None)
            self._prepare(self._connection)
        except (sqlite3.Error, OSError) as error:
            is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            cure = "free some space" if is_full else "mend or remove the file"
            raise RecordsError(f"{self._path}: {error}; {cure}") from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make what is not there; writes nothing where all is, so that a full disk keeps nobody from starting."""
        [(version,)] = connection.execute("PRAGMA user_version")
        if version > VERSION:
            connection.close()
            self._connection = None
            raise RecordsError(
                f"{self._path} has format version {version}, this nunchi knows {VERSION}: use a newer one"
            )
        connection.executescript(SCHEMA)
        if version != VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Give the file back. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written within becomes visible and durable together, or not at all. Raises RecordsError."""
        self._ask("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._ask("ROLLBACK")
            raise
        self._ask("COMMIT")

    # Entities.

    def put(self, kind: str, entity_id: str, body: bytes) -> None:
        """Keep a body in place of an earlier one. Raises RecordsError, also where there is no room."""
        if len(body) > BODY_BYTES_MAX:
            raise RecordsError(f"{kind} {entity_id}: {len(body)} bytes are more than {BODY_BYTES_MAX}")
        if not self._ask("SELECT 1 FROM entities WHERE kind = ? AND id = ?", kind, entity_id):
            [(count,)] = self._ask("SELECT count(*) FROM entities WHERE kind = ?", kind)
            if count >= ENTITIES_MAX:
                raise RecordsError(f"there are {ENTITIES_MAX} of {kind} already: remove some")
        now_ms = self._clock.now_ms()
        self._ask("INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?)", kind, entity_id, body, now_ms)

    def find(self, kind: str, entity_id: str) -> bytes | None:
        """A body, None where there is none."""
        rows = self._ask("SELECT body FROM entities WHERE kind = ? AND id = ?", kind, entity_id)
        return bytes(rows[0][0]) if rows else None

    def remove(self, kind: str, entity_id: str) -> bool:
        """Remove an entity; False where there was none."""
        return bool(self._ask("DELETE FROM entities WHERE kind = ? AND id = ? RETURNING 1", kind, entity_id))

    def remove_unchanged_since(self, kind: str, changed_ms: int) -> int:
        """Remove the entities of a kind that were put before this moment; how many."""
        return len(self._ask("DELETE FROM entities WHERE kind = ? AND changed_ms < ? RETURNING 1", kind, changed_ms))

    def entities(self, kind: str) -> list[tuple[str, bytes]]:
        """Id and body of all of a kind, by id."""
        rows = self._ask("SELECT id, body FROM entities WHERE kind = ? ORDER BY id", kind)
        return [(str(entity_id), bytes(body)) for entity_id, body in rows]

    # Events.

    def note(self, kind: str, subject: str, body: bytes) -> None:
        """Remember that something happened; the oldest are forgotten beyond the bounds."""
        now_ms = self._clock.now_ms()
        self._ask("INSERT INTO events (kind, subject, at_ms, body) VALUES (?, ?, ?, ?)", kind, subject, now_ms, body)
        self._events_since_trim += 1
        if self._events_since_trim >= TRIM_EVERY:
            self.trim()

    def events(self, kind: str, subject: str = "", limit: int = 100) -> list[Event]:
        """The latest events of a kind, of one subject or of all, newest first."""
        rows = self._ask(
            "SELECT subject, at_ms, body FROM events WHERE kind = ?1 AND (?2 = '' OR subject = ?2)"
            " ORDER BY number DESC LIMIT ?3",
            kind, subject, limit,
        )  # fmt: skip
        return [Event(str(subject), int(at_ms), bytes(body)) for subject, at_ms, body in rows]

    def trim(self) -> None:
        """Forget events beyond number and age."""
        self._events_since_trim = 0
        self._ask("DELETE FROM events WHERE at_ms < ?", self._clock.now_ms() - EVENT_AGE_MS_MAX)
        for (kind,) in self._ask("SELECT DISTINCT kind FROM events"):
            self._ask(
                "DELETE FROM events WHERE kind = ?1 AND number <="
                " (SELECT number FROM events WHERE kind = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                kind, EVENTS_MAX,
            )  # fmt: skip

    def _ask(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        if self._connection is None:
            raise RecordsError(f"{self._path}: not open")
        try:
            return self._connection.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise RecordsError(f"{self._path}: {error}") from error
