"""The log file is bounded in size and number, whoever writes into it."""

import os
from pathlib import Path

from nunchi.agent.log_file import LogFile
from nunchi.agent.log_settings import LogSettings
from nunchi.kit.logs import logger
from nunchi.testing.clock import VirtualClock


def test_what_is_too_long_moves_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    log_file = LogFile(path, lambda: LogSettings(bytes_max=4096, files_max=3), VirtualClock(), logger("test"))
    log_file.rotate()  # nothing is there yet
    writer = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for turn in range(6):
        os.write(writer, f"{turn}".encode() * 5000)
        log_file.rotate()
    os.write(writer, b"short")
    log_file.rotate()
    os.close(writer)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["agent.log", "agent.log.1", "agent.log.2"]
    assert path.read_bytes() == b"short"  # who had it open goes on at its begin
    assert (tmp_path / "agent.log.1").read_bytes() == b"5" * 5000
    assert (tmp_path / "agent.log.2").read_bytes() == b"4" * 5000


def test_the_bounds_are_those_of_the_settings_in_force(tmp_path: Path) -> None:
    path, settings = tmp_path / "agent.log", LogSettings()
    path.write_bytes(b"x" * 10_000)
    log_file = LogFile(path, lambda: settings, VirtualClock(), logger("test"))
    log_file.rotate()
    assert path.stat().st_size == 10_000
    settings = LogSettings(bytes_max=4096, files_max=1)
    log_file.rotate()
    assert [(found.name, found.stat().st_size) for found in tmp_path.iterdir()] == [("agent.log", 0)]
