"""`nunchi test promql`: what its user reads, and the exit code that a pipeline reads."""

from pathlib import Path

from click.testing import CliRunner, Result

from nunchi.cli.test import command

GOOD = 'load 1m\n  m{a="1"} 0+1x10\n\neval instant at 5m m\n  m{a="1"} 5\n\neval instant at 5m histogram_quantile(0.5, m)\n'
WRONG = "load 1m\n  m 0+1x10\n\neval instant at 5m m\n  m 5\n\neval instant at 5m m * 2\n  {} 11\n"


def run(*files: Path) -> Result:
    return CliRunner().invoke(command, ["promql", *map(str, files)], catch_exceptions=False)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_what_passes_is_counted(tmp_path: Path):
    result = run(written(tmp_path, "good.test", GOOD))
    assert result.output == "2 passed, 0 failed\n"
    assert result.exit_code == 0


def test_a_failure_has_its_place_and_both_sides(tmp_path: Path):
    path = written(tmp_path, "wrong.test", WRONG)
    result = run(path, written(tmp_path, "good.test", GOOD))
    assert result.output.splitlines() == [
        f"{path}:7: m * 2",
        "    wanted: {} 11.0@300",
        "    given:  {} 10.0@300",
        "3 passed, 1 failed",
    ]
    assert result.exit_code == 1


def test_one_broken_script_does_not_keep_the_others_from_running(tmp_path: Path):
    path = written(tmp_path, "broken.test", "load 1m\n  m 1 y\n")
    result = run(path, written(tmp_path, "good.test", GOOD))
    assert result.output.splitlines()[0] == f"{path}:2: m 1 y"
    assert result.output.splitlines()[-1] == "2 passed, 1 failed"
    assert result.exit_code == 1
