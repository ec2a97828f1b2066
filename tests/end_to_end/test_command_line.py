"""The command line as a user meets it: helps, mistakes and their cures. `nunchi up` itself is tried in `test_up.py`."""

import subprocess
from pathlib import Path

import pytest
from tests.end_to_end.systems import NUNCHI

ROUTES_WITH_A_CHAT = """
route: {receiver: chat}
receivers: [{name: chat, slack_configs: [{api_url: "http://127.0.0.1:1/x", channel: c}]}]
"""


def run_nunchi(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NUNCHI, *words], capture_output=True, text=True, input=text, timeout=30, check=False)


def refused(*words: str, text: str | None = None) -> str:
    """The one line with which a command ends."""
    ended = run_nunchi(*words, text=text)
    assert ended.returncode == 2, ended
    [line] = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize("words", [[], ["check"], ["query"], ["agent"], ["test"]])
def test_a_group_without_a_command_shows_its_commands_line_by_line(words: list[str]) -> None:
    ended = run_nunchi(*words)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) > 4
    assert "Commands:" in ended.stderr


def test_no_line_of_help_is_cut_off() -> None:
    for words in ([], ["check"], ["query"], ["test"], ["agent"], ["tsdb"]):
        assert "..." not in run_nunchi(*words, "--help").stdout.replace("[ARGS]...", "").replace("...]", "")


def test_routes_that_nobody_could_send_are_refused_by_check_as_by_the_server(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(ROUTES_WITH_A_CHAT)
    said = refused("check", "routes", str(path))
    assert "slack_configs" in said
    data = f"--storage.tsdb.path={tmp_path / 'data'}"
    assert refused("up", data, "--web.listen-address=127.0.0.1:0", f"--alertmanager.config.file={path}") == said


def test_what_no_server_would_start_with_does_not_pass_the_check(tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text("global: {query_log_file: q}\n")
    (tmp_path / "beyond.yml").write_text("remote_write: [{url: 'http://x'}]\n")
    ended = run_nunchi("check", "config", str(tmp_path / "good.yml"))
    assert (ended.returncode, ended.stdout.count("global.query_log_file has no effect here")) == (0, 1)
    assert "would not start with it: remote_write" in refused("check", "config", str(tmp_path / "beyond.yml"))


def test_unused_settings_of_routes_are_remarked_upon(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text("global: {slack_app_url: 'http://x'}\nroute: {receiver: a}\nreceivers: [{name: a}]\n")
    assert "global.slack_app_url has no effect here" in run_nunchi("check", "routes", str(path)).stdout


def test_a_rule_file_that_does_not_exist_is_refused_or_where_syntax_alone_counts_remarked_on(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text("rule_files: [absent.yml, 'none/*.yml']\n")
    assert "absent.yml does not exist: create it" in refused("check", "config", str(tmp_path / "prometheus.yml"))
    ended = run_nunchi("check", "config", "--syntax-only", str(tmp_path / "prometheus.yml"))
    assert ended.returncode == 0
    assert "absent.yml does not exist and is passed over" in ended.stdout
    assert "none" not in ended.stdout


def test_check_metrics_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.txt"
    path.write_text("a 1\n")
    assert f"{path}: line 1:" in refused("check", "metrics", str(path))
    assert "standard input: line 1:" in refused("check", "metrics", text="a 1\n")


def test_the_server_to_ask_is_named_behind_the_command_and_in_full() -> None:
    said = refused("query", "instant", "up", "--url", "127.0.0.1:9190")
    assert '"127.0.0.1:9190" is not the address of a server' in said


@pytest.mark.parametrize("flag", ["--query.timeout", "--query.lookback-delta"])
def test_durations_of_which_none_makes_no_sense_are_refused(tmp_path: Path, flag: str) -> None:
    said = refused("up", f"--storage.tsdb.path={tmp_path}", "--web.listen-address=127.0.0.1:0", f"{flag}=0s")
    assert flag in said
    assert "longer than 0" in said
