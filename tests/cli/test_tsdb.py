"""`nunchi tsdb` over a data folder."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from nunchi.cli.tsdb import DamageFound, command
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import UP, append
from nunchi.tsdb.database import Database
from nunchi.tsdb.telemetry import DatabaseTelemetry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clock = VirtualClock()
    database = Database(tmp_path, SystemDisk(), clock, DatabaseTelemetry(Telemetry()), logger("tsdb"))
    database.open()
    append(database, {UP: [(clock.now_ms() - 1000 * i, float(i)) for i in range(9, -1, -1)]})
    database.close()
    return tmp_path


def test_sealed_files_are_listed_and_good(folder: Path) -> None:
    listed = CliRunner().invoke(command, ["list", str(folder)], catch_exceptions=False)
    head, row = listed.output.splitlines()[0], listed.output.splitlines()[-1].split()
    assert head.split() == ["file", "from", "to", "samples", "bytes"]
    assert (row[0], row[4]) == ("run", "10")
    verified = CliRunner().invoke(command, ["verify", str(folder)], catch_exceptions=False)
    assert verified.output == f"{folder}: 1 files, every checksum holds\n"


def test_a_changed_byte_is_found(folder: Path) -> None:
    [run] = [path for path in (folder / "head").iterdir() if path.suffix == ".run"]
    content = bytearray(run.read_bytes())
    content[40] ^= 0xFF
    run.write_bytes(content)
    with pytest.raises(DamageFound, match="is damaged"):
        CliRunner().invoke(command, ["verify", str(folder)], catch_exceptions=False)
