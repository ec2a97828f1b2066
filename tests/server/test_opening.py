"""`nunchi.open`: what Python reads out of a data folder that a database is writing."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import nunchi
from nunchi.kit.errors import InputError, WorldError
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.query.errors import QueryError
from nunchi.server.opening import QueryWarning
from nunchi.server.world import World
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import LOAD_A, LOAD_B, UP, append
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry

LOAD = dict(LOAD_A)["__name__"]


@pytest.fixture
def world() -> World:
    return World(clock=VirtualClock())


@pytest.fixture
def database(tmp_path: Path, world: World) -> Iterator[Database]:
    database = Database(tmp_path, SystemDisk(), world.clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    yield database
    database.close()


def test_what_is_acknowledged_is_read_and_what_comes_later_when_opened_again(
    tmp_path: Path, world: World, database: Database
) -> None:
    now = world.clock.now_ms()
    append(database, {UP: [(now - 2000, 1.0)]})
    database.seal()
    append(database, {UP: [(now - 1000, 2.0)]})
    opened = nunchi.open(tmp_path, world=world)
    assert opened.query("up").to_numpy().tolist() == [2.0]
    append(database, {UP: [(now, 3.0)]})
    assert opened.query("up").to_numpy().tolist() == [2.0]
    assert opened.query("up", time=(now - 2000) / 1000).to_numpy().tolist() == [1.0]
    assert opened.query("up", time=datetime.fromtimestamp((now - 2000) / 1000, UTC)).to_numpy().tolist() == [1.0]
    assert nunchi.open(str(tmp_path), world=world).query("up").to_numpy().tolist() == [3.0]


def test_each_kind_of_value_becomes_an_array(tmp_path: Path, world: World, database: Database) -> None:
    now = world.clock.now_ms() // 1000 * 1000
    append(database, {LOAD_A: [(now - 1000, 1.0), (now, 2.0)], LOAD_B: [(now, 5.0)]})
    opened = nunchi.open(tmp_path, world=world)
    for step in (1, "1s"):
        matrix = opened.query_range(LOAD, (now - 1000) / 1000, now / 1000, step)
        np.testing.assert_array_equal(matrix.to_numpy(), [[1.0, 2.0], [np.nan, 5.0]])
    assert opened.query(f"{LOAD}[1m]").to_numpy().tolist() == [1.0, 2.0, 5.0]
    assert opened.query("1 + 1").to_numpy() == 2.0
    assert opened.query("'text'").to_numpy() == "text"


def test_mistakes_are_told_and_warnings_warn(tmp_path: Path, world: World, database: Database) -> None:
    append(database, {UP: [(world.clock.now_ms(), 1.0)]})
    opened = nunchi.open(tmp_path, world=world)
    with pytest.raises(QueryError):
        opened.query("up +")
    with pytest.raises(InputError, match="no time zone"):
        opened.query("up", time=datetime(2026, 1, 31))  # noqa: DTZ001 (what is refused)
    with pytest.raises(InputError, match="step"):
        opened.query_range("up", 0, 1, "soon")
    with pytest.warns(QueryWarning, match="quantile"):
        opened.query("quantile(7, up)")
    with pytest.raises(WorldError, match=r"elsewhere does not exist.*--storage\.tsdb\.path"):
        nunchi.open(tmp_path / "elsewhere")


def test_experimental_parts_are_asked_for_by_name(tmp_path: Path, world: World, database: Database) -> None:
    append(database, {LOAD_A: [(world.clock.now_ms(), 1.0)]})
    with pytest.raises(QueryError, match="experimental"):
        nunchi.open(tmp_path, world=world).query(f"limitk(1, {LOAD})")
    opened = nunchi.open(tmp_path, features=["promql-experimental-functions"], world=world)
    assert opened.query(f"limitk(1, {LOAD})").labels == [dict(LOAD_A)]
    with pytest.raises(InputError, match=r'"magic" is not known; there are promql-experimental-functions'):
        nunchi.open(tmp_path, features=["magic"], world=world)


def test_answers_become_tables(tmp_path: Path, world: World, database: Database) -> None:
    append(database, {UP: [(world.clock.now_ms(), 1.0)]})
    answer = nunchi.open(tmp_path, world=world).query("up")
    assert answer.to_pandas()["value"].tolist() == answer.to_arrow()["value"].to_pylist() == [1.0]


def test_importing_nunchi_loads_no_server() -> None:
    code = "import nunchi, sys; print('open' in dir(nunchi), 'numpy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "True False\n"
