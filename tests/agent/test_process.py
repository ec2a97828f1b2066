"""The agent as a process: started, found, asked, killed and stopped by the command line; and how it joins a server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.intake.test_enrolment import House

from nunchi.agent.configuration import ConfigurationFolder
from nunchi.agent.process import find_process
from nunchi.cli.agent import filtered
from nunchi.kit.system_disk import SystemDisk

SETTINGS = "{server: {url: 'http://127.0.0.1:9'}, api: {address: '127.0.0.1:0'}, burst: 60s}"


class Home:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "nunchi-agent.yaml").write_text(SETTINGS)

    def nunchi(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from nunchi.cli import main; main()", "agent", *words]
        environment = {**os.environ, "NUNCHI_AGENT_HOME": str(self.folder)}
        return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False, env=environment)

    @property
    def process(self) -> int | None:
        return find_process(self.folder, SystemDisk())


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path)
    yield found
    if found.process is not None:
        os.kill(found.process, signal.SIGKILL)


def test_start_status_reload_and_stop(home: Home) -> None:
    assert home.nunchi("stop").stdout == "no agent runs\n"
    ended = home.nunchi("status")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "start it with" in ended.stderr
    started = home.nunchi("start")
    assert started.returncode == 0, started.stderr
    assert home.process is not None
    assert str(home.process) in started.stdout
    second = home.nunchi("start")
    assert second.returncode == 1
    assert f"as process {home.process}" in second.stderr
    third = home.nunchi("run")
    assert third.returncode == 1
    assert f"in use by process {home.process}" in third.stderr
    asked = home.nunchi("status")
    assert "agent.forwarder" in asked.stdout
    assert "settings: in force" in asked.stdout
    assert "agent.api: http://127.0.0.1:" in asked.stdout
    (home.folder / "conf.d").mkdir()
    (home.folder / "conf.d" / "loadd.yaml").write_text("")
    refused = home.nunchi("reload")
    assert refused.returncode == 2
    assert 'did you mean "load"' in refused.stderr
    assert 'did you mean "load"' in home.nunchi("status").stdout
    (home.folder / "conf.d" / "loadd.yaml").unlink()
    assert home.nunchi("reload").stdout == "settings loaded\n"
    stopped = home.nunchi("stop")
    assert stopped.returncode == 0
    assert "has ended" in stopped.stdout
    assert home.process is None


def test_a_signal_has_the_settings_read_again_and_broken_ones_end_nothing(home: Home) -> None:
    def status_says(words: str) -> bool:
        deadline = time.monotonic() + 8  # sooner than the agent looks by itself
        while words not in (shown := home.nunchi("status").stdout) and time.monotonic() < deadline:
            time.sleep(0.1)
        return words in shown

    assert home.nunchi("start").returncode == 0
    process = home.process
    assert process is not None
    path = home.folder / "nunchi-agent.yaml"
    path.write_text(SETTINGS[:-1] + ", checks: {load: {enabled: false}}, nam: x}")
    os.kill(process, signal.SIGHUP)
    assert status_says('unknown field "nam"; did you mean "name"?')
    assert status_says("\nload ")
    path.write_text(SETTINGS[:-1] + ", checks: {load: {enabled: false}}}")
    os.kill(process, signal.SIGHUP)
    assert status_says("settings: in force")
    assert "\nload " not in home.nunchi("status").stdout
    assert home.process == process
    assert home.nunchi("stop").returncode == 0


def test_a_killed_agent_is_not_taken_for_a_live_one_and_its_samples_are_found_again(home: Home) -> None:
    home.nunchi("start")
    spool = home.folder / "spool"
    deadline = time.monotonic() + 20
    while not list(spool.glob("*.records")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    assert home.process is not None
    os.kill(home.process, signal.SIGKILL)
    while home.process is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (home.folder / "agent.lock").read_text().strip().isdecimal()
    assert home.nunchi("stop").stdout == "no agent runs\n"
    assert home.nunchi("start").returncode == 0
    while "recovered" not in (asked := home.nunchi("status").stdout) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "recovered 0" not in asked
    assert home.nunchi("stop").returncode == 0


def test_beyond_loopback_the_api_wants_tls_and_its_token_alone(home: Home) -> None:
    certificate = trustme.CA().issue_cert("agent.example.org")
    certificate.private_key_pem.write_to_path(home.folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(home.folder / "cert.pem")
    users = "basic_auth_users: {ann: $2y$10$abcdefghijklmnopqrstuuX6Lz2kGqXnV0eOqVvVZ1mYb3bq9sC2e}"
    (home.folder / "web.yml").write_text(f"tls_server_config: {{cert_file: cert.pem, key_file: key.pem}}\n{users}\n")
    api = "api: {address: '0.0.0.0:0', web_config_file: web.yml}"
    (home.folder / "nunchi-agent.yaml").write_text(SETTINGS.replace("api: {address: '127.0.0.1:0'}", api))
    started = home.nunchi("start")
    assert started.returncode == 0, started.stderr
    assert "agent.api: https://127.0.0.1:" in home.nunchi("status").stdout
    assert home.nunchi("stop").returncode == 0


def test_an_agent_that_cannot_begin_is_no_started_one(home: Home) -> None:
    (home.folder / "web.yml").write_text("{}")
    exporter = "exporter: {address: '0.0.0.0:0', web_config_file: web.yml}"
    (home.folder / "nunchi-agent.yaml").write_text(SETTINGS[:-1] + f", {exporter}}}")
    started = home.nunchi("start")
    assert started.returncode == 1
    assert "agent.exporter: 0.0.0.0:0 is open to others without TLS and authentication" in started.stderr
    assert home.process is None


def test_settings_are_tried_without_an_agent(home: Home) -> None:
    tried = home.nunchi("test-config")
    assert tried.returncode == 0
    assert "cpu" in tried.stdout
    (home.folder / "nunchi-agent.yaml").write_text("{serverr: {}}")
    for words in (["test-config"], ["start"], ["run"]):
        refused = home.nunchi(*words)
        assert refused.returncode == 2, refused
        assert 'nunchi-agent.yaml:1:2: unknown field "serverr"; did you mean "server"?' in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


def test_a_filter_leaves_the_named_checks_alone(home: Home) -> None:
    configuration = ConfigurationFolder(home.folder, {}).load()
    assert len(configuration.instances) > 10
    for written in ("cpu,load", "cpu:load"):
        assert [one.check.name for one in filtered(configuration, written).instances] == ["cpu", "load"]
    assert filtered(configuration, "") is configuration


def test_the_log_of_a_started_agent_goes_into_its_file_within_bounds(home: Home) -> None:
    (home.folder / "nunchi-agent.yaml").write_text(SETTINGS[:-1] + ", log: {bytes_max: 4096, files_max: 2}}")
    (home.folder / "agent.log").write_text("of an earlier start\n" * 1000)
    assert home.nunchi("start").returncode == 0
    deadline = time.monotonic() + 20
    while not (home.folder / "agent.log.1").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert home.nunchi("stop").returncode == 0
    assert "of an earlier start" in (home.folder / "agent.log.1").read_text()
    assert "stopping" in (home.folder / "agent.log").read_text()
    assert len(list(home.folder.glob("agent.log*"))) == 2


def test_a_plugin_that_is_not_there_cannot_be_filtered_for(home: Home) -> None:
    refused = home.nunchi("run", "--plugin-filter", "cpu:lode")
    assert refused.returncode == 2
    assert "no instance of lode" in refused.stderr


async def test_joining_keeps_id_and_key_and_uses_the_token_up(home: Home, tmp_path: Path) -> None:
    import asyncio

    server_folder = tmp_path / "server"
    server_folder.mkdir()
    house = House(server_folder)
    await house.server.start()
    try:
        token, _ = house.book.issue_token(60, "web-7")
        joined = await asyncio.to_thread(home.nunchi, "join", "--server", house.server.url, "--token", token)
        assert joined.returncode == 0, joined.stderr
        assert "as web-7" in joined.stdout
        assert "now write into" in joined.stdout
        path = home.folder / "agent-key"
        key = path.read_text().strip()
        assert path.stat().st_mode & 0o777 == 0o600
        assert key not in joined.stdout
        owner = house.book.authenticate(key)
        assert owner is not None
        assert (owner.agent_id, owner.name) == ((home.folder / "agent-id").read_text().strip(), "web-7")
        again = await asyncio.to_thread(home.nunchi, "join", "--server", house.server.url, "--token", token)
        assert again.returncode == 1
        assert "used before" in again.stderr
        assert path.read_text().strip() == key
        clear = await asyncio.to_thread(home.nunchi, "join", "--server", "http://192.0.2.1:9190", "--token", token)
        assert clear.returncode == 2
        assert "https" in clear.stderr
    finally:
        await house.server.stop()
        house.records.close()
