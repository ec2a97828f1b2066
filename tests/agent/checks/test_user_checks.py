"""Checks of one's own: ten lines in checks.d, a process that ends at the deadline, and the commands to try and begin them."""

import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.agent.checks.services import Measured, measure

from nunchi.agent.check import Check
from nunchi.agent.check_process import UserChecks, UserCheckSettings
from nunchi.agent.configuration import ConfigurationFolder
from nunchi.cli.agent import command
from nunchi.kit.settings import SettingsError

QUEUE = """
from nunchi.agent.check import Check, Context

class QueueCheck(Check):
    name = "queue"
    runs = 0
    def run(self, context: Context) -> None:
        QueueCheck.runs += 1
        print("this goes to the log")
        context.emit.counter("queue_runs_total", QueueCheck.runs)
        context.emit.gauge("queue_length", 3, kind="mail")
"""
OPTIONS = """
from nunchi.agent.check import Check
from nunchi.agent.check_settings import CheckSettings

class Settings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    size: int = 1

class SizeCheck(Check):
    name = "size"
    settings_type = Settings
    def run(self, context):
        context.emit.gauge("size", self.settings.size)
"""


def user_check(folder: Path, text: str, name: str = "mine", **options: object) -> Check:
    (folder / f"{name}.py").write_text(text)
    return UserChecks(folder).load(frozenset())[name](UserCheckSettings(options=options))


def test_ten_lines_are_a_check_that_remembers(tmp_path: Path) -> None:
    check = user_check(tmp_path, QUEUE)
    first, second = measure(check), measure(check)
    assert (first.error, second.error) == (None, None)
    assert second.value("queue_length", kind="mail") == 3
    assert (first.value("queue_runs_total"), second.value("queue_runs_total")) == (1, 2)
    assert second.types == {"queue_runs_total": "counter", "queue_length": "gauge"}
    check.close()  # type: ignore[attr-defined]


def test_two_instances_are_two_processes_with_their_own_options(tmp_path: Path) -> None:
    one, two = user_check(tmp_path, OPTIONS, size=4), user_check(tmp_path, OPTIONS, size=5)
    assert [measure(check).value("size") for check in (one, two)] == [4, 5]
    wrong = user_check(tmp_path, OPTIONS, sise=5)
    assert "unknown field `sise`" in str(measure(wrong).error)


def run_within(check: Check, seconds: float) -> Measured:
    shown = measure(check, deadline_seconds=seconds)
    assert shown.seconds < seconds
    return shown


def test_check_that_loops_or_dies_is_killed_and_started_again(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    orders = f"""import pathlib, os
        order = pathlib.Path({str(marker)!r}).read_text()
        while order == 'loop':
            pass
        if order == 'die':
            os._exit(7)
        print("""
    text = QUEUE.replace("print(", orders)
    check = user_check(tmp_path, text)
    marker.write_text("well")
    assert measure(check).error is None
    child = check._child.process.pid  # type: ignore[attr-defined]
    marker.write_text("loop")
    assert "no whole answer within 0.8 s" in str(run_within(check, 1.0).error)
    assert not Path(f"/proc/{child}").exists()
    marker.write_text("die")
    assert "its process ended with 7" in str(measure(check).error)
    marker.write_text("well")
    assert measure(check).value("queue_runs_total") == 1
    check.close()  # type: ignore[attr-defined]


def opened_by(marker: Path, text: str) -> str:
    """A check's file that takes until the marker is there to be read."""
    return f"import pathlib, time\nwhile not pathlib.Path({str(marker)!r}).exists():\n    time.sleep(0.01)\n" + text


def test_a_process_that_is_longer_in_starting_than_a_run_may_take_is_let_start(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    check = user_check(tmp_path, opened_by(marker, QUEUE))
    for _ in range(3):
        assert "still being started" in str(run_within(check, 1.0).error)
    child = check._child.process.pid  # type: ignore[attr-defined]
    marker.touch()
    shown = measure(check)
    assert (shown.error, shown.value("queue_runs_total")) == (None, 1)
    assert check._child.process.pid == child  # type: ignore[attr-defined]
    check.close()  # type: ignore[attr-defined]


def test_a_run_has_its_whole_time_when_the_process_has_started_late(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    check = user_check(tmp_path, opened_by(marker, QUEUE.replace("print(", "time.sleep(1.2); print(")))
    opening = threading.Timer(1.5, marker.touch)
    opening.start()
    shown = measure(check, deadline_seconds=3.0)
    opening.join()
    assert (shown.error, shown.value("queue_runs_total")) == (None, 1)
    check.close()  # type: ignore[attr-defined]


def test_failure_is_told_and_what_was_emitted_stands(tmp_path: Path) -> None:
    shown = measure(user_check(tmp_path, QUEUE + "        raise RuntimeError('no queue')\n"))
    assert str(shown.error) == "RuntimeError: no queue (line 12)"
    assert shown.value("queue_length", kind="mail") == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def", "SyntaxError"),
        ("x = 1", "defines 0 checks"),
        (QUEUE + QUEUE.replace("QueueCheck", "Other"), "defines 2 checks"),
    ],
)
def test_file_that_is_no_check_is_named(tmp_path: Path, text: str, reason: str) -> None:
    shown = measure(user_check(tmp_path, text))
    assert "mine.py" in str(shown.error)
    assert reason in str(shown.error)


def test_process_ends_with_the_agent_and_whatever_it_has_started_too(tmp_path: Path) -> None:
    text = written("import os, subprocess\nsubprocess.Popen(['sleep', '300'])\nos.close(0)")
    program = (
        "import sys; from pathlib import Path; from tests.agent.checks.services import measure\n"
        "from tests.agent.checks.test_user_checks import user_check\n"
        f"check = user_check(Path(sys.argv[1]), {text!r}); measure(check); print(check._child.process.pid, flush=True)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "."},
    )
    child = int(answer.stdout)
    deadline = time.monotonic() + 5
    while left := living(child, with_first=True):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def test_a_check_that_reads_its_input_finds_none_and_takes_no_request(tmp_path: Path) -> None:
    check = user_check(tmp_path, written("import sys\ncontext.emit.gauge('read', len(sys.stdin.read()))"))
    for _ in range(2):
        shown = measure(check)
        assert (shown.error, shown.value("read")) == (None, 0)
    check.close()  # type: ignore[attr-defined]


def test_configuration_runs_them_and_keeps_the_unchanged(tmp_path: Path) -> None:
    (tmp_path / "checks.d").mkdir()
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "checks.d/queue.py").write_text(QUEUE)
    (tmp_path / "checks.d/test_queue.py").write_text("")
    (tmp_path / "checks.d/size.py").write_text(OPTIONS)
    (tmp_path / "conf.d/size.yaml").write_text(
        "instances:\n- {options: {size: 2}, labels: {n: a}}\n- {options: {size: 3}, labels: {n: b}}\n"
    )
    source = ConfigurationFolder(tmp_path, {})
    first = source.load()
    mine = [one for one in first.instances if one.check.name in ("queue", "size")]
    assert [one.check.name for one in mine] == ["queue", "size", "size"]
    assert source.load().instances == first.instances
    before = source.stamp()
    (tmp_path / "checks.d/queue.py").write_text(QUEUE + "\n")
    assert source.stamp() != before
    assert [one in first.instances for one in source.load().instances if one.check.name in ("queue", "size")] == [
        False,
        True,
        True,
    ]
    (tmp_path / "checks.d/cpu.py").write_text(QUEUE)
    with pytest.raises(SettingsError, match="there is a check cpu already"):
        source.load()


def nunchi(home: Path, *words: str) -> Result:
    return CliRunner().invoke(command, [*words, "--home", str(home)])


def test_new_check_works_and_passes_its_test_and_check_prints_it(tmp_path: Path) -> None:
    assert nunchi(tmp_path, "new-check", "my_files").exit_code == 0
    shown = nunchi(tmp_path, "check", "my_files")
    assert (shown.exit_code, shown.exception) == (0, None)
    assert "# TYPE my_files_files gauge" in shown.output
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "checks.d/test_my_files.py")]
    assert subprocess.run(test, capture_output=True, check=False, cwd=tmp_path).returncode == 0
    assert "is there already" in str(nunchi(tmp_path, "new-check", "my_files").exception)
    assert "cannot be a check's name" in str(nunchi(tmp_path, "new-check", "My-Files").exception)


def test_the_settings_are_not_well_while_a_file_or_its_options_make_no_check(tmp_path: Path) -> None:
    (tmp_path / "checks.d").mkdir()
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "checks.d/size.py").write_text(OPTIONS)
    assert nunchi(tmp_path, "test-config").exit_code == 0
    (tmp_path / "conf.d/size.yaml").write_text("instances: [{options: {sise: 3}}]")
    assert "options of size: " in str(nunchi(tmp_path, "test-config").exception)
    (tmp_path / "checks.d/broken.py").write_text("x = (")
    said = str(nunchi(tmp_path, "test-config").exception)
    assert "broken.py: SyntaxError" in said
    assert "options of size: " in said


def test_check_command_names_what_is_wrong(tmp_path: Path) -> None:
    assert "node_load1" in nunchi(tmp_path, "check", "load").output
    assert 'did you mean "load"?' in str(nunchi(tmp_path, "check", "loat").exception)
    assert "http: there is nothing to probe: name targets" in str(nunchi(tmp_path, "check", "http").exception)
    (tmp_path / "redis.yaml").write_text("instances:\n- {address: 127.0.0.1:1}\n")
    failed = nunchi(tmp_path, "check", "redis", "-c", str(tmp_path / "redis.yaml"))
    assert "127.0.0.1:1: Connection refused" in str(failed.exception)
    assert "redis_up 0" in failed.output


BODY = "from nunchi.agent.check import Check\nclass Mine(Check):\n    name = 'mine'\n    def run(self, context):\n"


def written(body: str) -> str:
    lines = ["context.emit.gauge('before', 1)", *body.splitlines()]
    return BODY + "\n".join(f"        {line}" for line in lines) + "\n"


def test_numbers_that_json_has_no_words_for_arrive(tmp_path: Path) -> None:
    text = written("context.emit.gauge('odd', float('nan'), n=1)\ncontext.emit.gauge('endless', float('-inf'))")
    shown = measure(user_check(tmp_path, text))
    assert shown.error is None
    assert math.isnan(shown.value("odd", n="1"))
    assert shown.value("endless") == -math.inf


def test_a_label_of_any_value_is_text(tmp_path: Path) -> None:
    shown = measure(user_check(tmp_path, written("context.emit.gauge('x', 1, port=6379, file='caf\\udce9')")))
    assert shown.error is None
    assert shown.value("x", port="6379", file="caf?") == 1


def test_a_check_that_wants_to_end_the_process_has_failed(tmp_path: Path) -> None:
    shown = measure(user_check(tmp_path, written("raise SystemExit(3)")))
    assert str(shown.error) == "SystemExit: 3 (line 6)"
    assert shown.value("before") == 1
    at_once = measure(user_check(tmp_path, "raise SystemExit(3)", "other"))
    assert "other.py: SystemExit: 3" in str(at_once.error)


def test_a_child_that_a_check_forgets_answers_nothing_and_ends(tmp_path: Path) -> None:
    text = written("import os\nif not os.fork():\n    return\ncontext.emit.gauge('parent', 1)")
    check = user_check(tmp_path, text)
    for _ in range(3):
        shown = measure(check)
        assert (shown.error, shown.value("parent")) == (None, 1)
    child = check._child.process.pid  # type: ignore[attr-defined]
    deadline = time.monotonic() + 5
    while others := living(child):
        assert time.monotonic() < deadline, others
        time.sleep(0.02)
    check.close()  # type: ignore[attr-defined]


def living(group: int, *, with_first: bool = False) -> list[Path]:
    """The processes of a group that have not ended, other than its first."""
    fields = {path.parent: stat_fields(path) for path in Path("/proc").glob("[0-9]*/stat")}
    found = [path for path, one in fields.items() if one[2:3] == [str(group)] and one[0] != "Z"]
    return [path for path in found if with_first or path.name != str(group)]


def stat_fields(path: Path) -> list[str]:
    """State, parent, group and what follows, of a process that may have ended."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return [""]


def test_what_a_check_logs_is_a_line_of_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check = user_check(tmp_path, written("context.log.info('looked', files=3)"))
    assert measure(check).error is None
    check.close()  # type: ignore[attr-defined]
    assert "level=info area=agent.mine msg=looked files=3" in capfd.readouterr().err


def test_samples_without_a_name_are_left_out_and_told(tmp_path: Path) -> None:
    text = written("context.emit.gauge('', 1)\ncontext.emit.gauge('x', 1, **{'': 'y'})\ncontext.emit.gauge('after', 1)")
    shown = measure(user_check(tmp_path, text))
    assert str(shown.error).startswith("2 samples without a name")
    assert (shown.value("before"), shown.value("after")) == (1, 1)
