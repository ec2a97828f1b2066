"""A process that is killed while it appends loses nothing that it acknowledged. `NUNCHI_KILL_ROUNDS=100` tries harder."""

import importlib.util
import os
import random
from pathlib import Path
from types import ModuleType

import pytest


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill", Path(__file__).with_name("kill.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(600)
def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    rounds = int(os.environ.get("NUNCHI_KILL_ROUNDS", "4"))
    acknowledged, found = load_script().kill_rounds(tmp_path / "data", rounds, random.Random(7))
    assert acknowledged == found > 100
