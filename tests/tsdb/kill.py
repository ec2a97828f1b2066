"""Kills a process that appends, again and again, and compares what it acknowledged with what is found afterwards.

    python tests/tsdb/kill.py FOLDER [ROUNDS]

The child appends the shards of eight senders, marks and prints the number of each commit, and seals now and then; the
parent reads these numbers until it sends SIGKILL at a random moment. Then it opens the folder and counts.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from nunchi.kit.clock import SystemClock
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.series_group import Layout
from nunchi.tsdb import sealing
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

SHARDS, SERIES_PER_SHARD, STEP_MS = 8, 50, 1_000
START_MS = int(time.time() * 1000) - 10 * 24 * 3600 * 1000


def open_database(folder: Path) -> Database:
    database = Database(folder, SystemDisk(), SystemClock(), DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    return database


def append_forever(folder: Path, first: int, start_ms: int) -> None:
    """Commit number n is row n of every series of shard n modulo 8."""
    sealing.OPEN_SAMPLES_MIN = 20_000
    database = open_database(folder)
    layouts = [
        Layout.of(*(Labels.of(f"m{i % 5}", shard=str(s), n=str(i)) for i in range(SERIES_PER_SHARD)))
        for s in range(SHARDS)
    ]
    columns = np.arange(SERIES_PER_SHARD, dtype=np.int32)
    number = first
    while True:
        shard = number % SHARDS
        values = np.full(SERIES_PER_SHARD, float(number)) + columns
        appender = database.appender()
        result = appender.append(Batch.row(layouts[shard], start_ms + number * STEP_MS, columns, values))
        assert result.accepted == SERIES_PER_SHARD, result
        appender.mark("newest", str(number).encode())
        appender.commit()
        os.write(1, f"{number}\n".encode())
        number += 1
        if number % 50 == 0:
            database.maintain()


def found_rows(folder: Path, start_ms: int) -> dict[int, int]:
    """Commit number → samples found of it; wrong values are an error."""
    database = open_database(folder)
    querier = database.querier()
    selection = querier.select([Matcher(METRIC_NAME, MatchOperator.NOT_EQUAL, "")], 0, 2**62)
    rows: dict[int, int] = {}
    for tile in selection.read(0, len(selection.labels)):
        for i, series in enumerate(tile.series.tolist()):
            vector = tile.vector_of[i]
            times = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]]
            numbers = (times - start_ms) // STEP_MS
            column = int(selection.labels.labels(series)["n"])
            assert (tile.values[tile.offsets[i] : tile.offsets[i + 1]] == numbers + column).all(), "wrong values"
            for number in numbers.tolist():
                rows[number] = rows.get(number, 0) + 1
    querier.close()
    assert int(database.marks().get("newest", b"-1")) == max(rows, default=-1), (
        "a mark is not of the newest commit found"
    )
    database.abandon()
    return rows


def kill_rounds(folder: Path, rounds: int, chance: random.Random) -> tuple[int, int]:
    """Commits acknowledged and commits found after all rounds; raises AssertionError at the first loss."""
    acknowledged = -1
    for round_number in range(rounds):
        command = [sys.executable, __file__, "--child", str(folder), str(acknowledged + 1), str(START_MS)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line, "the child did not start"
            deadline = time.monotonic() + chance.uniform(0.02, 0.6)
            while time.monotonic() < deadline and line:
                acknowledged = int(line)
                line = child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
            rest = (line + child.stdout.read()).splitlines()
        whole = [int(text) for text in rest if text]
        acknowledged = max([acknowledged, *whole])
        rows = found_rows(folder, START_MS)
        lost = [number for number in range(acknowledged + 1) if rows.get(number) != SERIES_PER_SHARD]
        assert not lost, f"round {round_number}: commits {lost[:10]} of {acknowledged + 1} are lost"
        beyond = [number for number in rows if number > acknowledged]
        assert all(rows[number] == SERIES_PER_SHARD for number in beyond), "a commit is there in part"
        acknowledged = max([acknowledged, *beyond])
    return acknowledged + 1, len(rows)


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        append_forever(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        acknowledged, found = kill_rounds(
            Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100, random.Random(7)
        )
        sys.stdout.write(f"{acknowledged} commits acknowledged, {found} found, 0 lost\n")
