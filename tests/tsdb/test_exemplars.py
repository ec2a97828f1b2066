"""Exemplars of the database: bounded, there after a restart, also when the log was cut behind a run."""

from pathlib import Path

import numpy as np
from tests.tsdb.test_damage import Machine

from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch
from nunchi.model.exemplar import Exemplar
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import LOAD_A, NAME_SET, UP, append, exemplar
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry


def append_exemplars(database: Database, labels: Labels, *exemplars: Exemplar) -> None:
    appender = database.appender()
    nothing = np.empty(0, np.int64)
    rows = [(0, one) for one in exemplars]
    appender.append(Batch.cells(Layout.of(labels), nothing, np.empty(0, np.int32), np.empty(0), exemplars=rows))
    appender.commit()


def test_they_are_there_after_a_restart_and_after_the_log_was_cut() -> None:
    machine = Machine()
    now = machine.clock.now_ms()
    append_exemplars(machine.database, UP, exemplar(now, 1.0), exemplar(now + 1, 2.0, span="b"))
    machine.restart()
    append_exemplars(machine.database, LOAD_A, Exemplar(Labels({}), 0.5, now, has_timestamp=False))
    wanted = machine.database.exemplars([[NAME_SET]], 0, 2**62)
    assert [len(own) for _, own in wanted] == [1, 2]
    append(machine.database, {UP: [(now, 1.0)]})
    machine.database.seal()
    machine.restart()
    assert machine.database.exemplars([[NAME_SET]], 0, 2**62) == wanted
    append(machine.database, {UP: [(now + 1, 1.0)]})
    machine.database.close()
    machine.restart()
    assert machine.database.exemplars([[NAME_SET]], 0, 2**62) == wanted


def test_the_oldest_arrivals_make_room() -> None:
    machine = Machine()
    machine.database.hold_exemplars(3)
    now = machine.clock.now_ms()
    append_exemplars(machine.database, LOAD_A, exemplar(now + 50, 9.0))
    append_exemplars(machine.database, UP, *(exemplar(now + i, float(i)) for i in range(3)))
    ((labels, held),) = machine.database.exemplars([[NAME_SET]], 0, 2**62)
    assert (labels, [one.value for one in held]) == (UP, [0.0, 1.0, 2.0])
    machine.database.hold_exemplars(0)
    append_exemplars(machine.database, UP, exemplar(now + 9, 1.0))
    assert machine.database.exemplars([[NAME_SET]], 0, 2**62) == []


def test_metadata_is_there_after_a_restart_and_after_the_log_was_cut() -> None:
    machine = Machine()
    known = {"up": Metadata(MetricType.GAUGE, "Is it up?", "")}
    appender = machine.database.appender()
    appender.append(Batch.row(Layout.of(UP), machine.clock.now_ms(), np.zeros(1, np.int32), np.ones(1), known))
    appender.commit()
    machine.restart()
    assert machine.database.metadata() == known
    machine.database.seal()
    machine.restart()
    assert machine.database.metadata() == known


def test_a_snapshot_has_them(tmp_path: Path) -> None:
    database = Database(tmp_path, SystemDisk(), VirtualClock(), DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    now = VirtualClock().now_ms()
    append(database, {UP: [(now, 1.0)]})
    append_exemplars(database, UP, exemplar(now, 1.0), exemplar(now + 1, 2.0, span="b"))
    wanted = database.exemplars([[NAME_SET]], 0, 2**62)
    assert len(wanted) == 1
    for name in ("first", "second"):  # the second time nothing is left to be sealed
        copy = Database(
            database.snapshot(name), SystemDisk(), VirtualClock(), DatabaseTelemetry(Telemetry()), logger("tsdb")
        )
        copy.open()
        assert copy.exemplars([[NAME_SET]], 0, 2**62) == wanted
        copy.close()
    database.close()
