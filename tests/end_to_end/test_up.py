"""`nunchi up` as a newcomer runs it: what it shows soon after the start, how it stops, what it says of mistakes."""

import base64
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import trustme
from tests.end_to_end.systems import NUNCHI, System
from tests.peers import free_port, running

from nunchi.web.dashboards import load_dashboards

SHOWS_SECONDS_MAX = 10
STOP_SECONDS_MAX = 2


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("up")
    url = f"http://127.0.0.1:{free_port()}"
    command = [NUNCHI, "up", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={url[7:]}"]
    with running(command, f"{url}/-/ready", folder / "up.log"):
        yield System("nunchi up", url)


def test_rates_of_this_machine_show_within_ten_seconds(up: System):
    deadline = time.monotonic() + SHOWS_SECONDS_MAX
    while not up.instant('sum(rate(node_cpu_seconds_total{mode!="idle"}[1m]))', time.time()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    [agent] = up.instant('up{job="node"}', time.time())
    assert agent["value"][1] == "1"
    while not (own := up.instant('up{job="nunchi"}', time.time())):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert own[0]["value"][1] == "1"


def test_every_shipped_panel_has_data_on_this_machine(up: System):
    [agent] = up.instant('up{job="node"}', time.time())
    instance, deadline = agent["metric"]["instance"], time.monotonic() + 30
    empty = {k: v for one in load_dashboards().values() for k, v in one.expressions(instance, "1m").items()}
    assert len(empty) > 20
    while empty and time.monotonic() < deadline:
        now = time.time()
        empty = {name: query for name, query in empty.items() if not up.range(query, now - 30, now, 1)}
    assert empty == {}


def test_every_shipped_rule_is_evaluated_without_error(up: System):
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        rules = [rule for group in up.ask("rules")["groups"] for rule in group["rules"]]
        if rules and all(rule["health"] != "unknown" for rule in rules):
            break
        time.sleep(0.5)
    assert len(rules) >= 8
    assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}


def test_the_address_and_the_way_from_another_machine_are_printed(tmp_path: Path):
    port = free_port()
    command = [NUNCHI, "up", f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    remote = {**os.environ, "SSH_CONNECTION": "198.18.0.2 50000 198.18.0.1 22", "USER": "min"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=remote) as process:
        try:
            said = said_until(process, f"http://127.0.0.1:{port}/")
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert time.monotonic() - began < STOP_SECONDS_MAX
            assert process.stdout
            said += process.stdout.read()
        finally:
            process.kill()
    assert f"ssh -L {port}:127.0.0.1:{port} min@198.18.0.1" in said
    assert "Traceback" not in said


def write_web_config(folder: Path, more: str = "") -> Path:
    authority = trustme.CA()
    certificate = authority.issue_cert("monitoring.example")
    certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    path = folder / "web.yml"
    path.write_text(
        f"tls_server_config: {{cert_file: certificate.pem, key_file: key.pem{more}}}\nbasic_auth_users: {{min: '{hashed}'}}\n"
    )
    return path


def test_where_strangers_must_sign_in_the_own_agent_and_the_own_scrape_are_let_in(tmp_path: Path):
    url = f"https://127.0.0.1:{free_port()}"
    flags = [f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.config.file={write_web_config(tmp_path)}"]
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    question = urllib.request.Request(f"{url}/api/v1/query?query=up==1")
    deadline, found = time.monotonic() + 30, set()
    with subprocess.Popen([NUNCHI, "up", *flags, f"--web.listen-address=0.0.0.0:{url[18:]}"]) as process:
        try:
            while found != {"node", "nunchi"} and time.monotonic() < deadline:
                time.sleep(0.2)
                with contextlib.suppress(urllib.error.URLError, ConnectionError):
                    urllib.request.urlopen(question, context=anybody, timeout=5)
                    pytest.fail("a stranger was let in")
                question.add_header("Authorization", f"Basic {base64.b64encode(b'min:secret').decode()}")
                with (
                    contextlib.suppress(urllib.error.URLError, ConnectionError),
                    urllib.request.urlopen(question, context=anybody, timeout=5) as answer,
                ):
                    found = {one["metric"]["job"] for one in json.load(answer)["data"]["result"]}
                question.remove_header("Authorization")
        finally:
            process.terminate()
    assert found == {"node", "nunchi"}


def test_client_certificates_that_the_own_agent_lacks_are_refused_with_the_cure(tmp_path: Path):
    more = ", client_ca_file: authority.pem, client_auth_type: RequireAndVerifyClientCert"
    path = write_web_config(tmp_path, more)
    data = f"--storage.tsdb.path={tmp_path / 'data'}"
    ended = run_nunchi("up", data, f"--web.config.file={path}", "--web.listen-address=127.0.0.1:0")
    assert ended.returncode == 2, ended
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("nunchi: ")]
    assert str(path) in line
    assert "VerifyClientCertIfGiven" in line


def said_until(process: "subprocess.Popen[str]", words: str) -> str:
    assert process.stdout
    said = ""
    while words not in said or "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def run_nunchi(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NUNCHI, *words], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("global: {scrape_intervall: 1s}\n", "1:10", 'did you mean "scrape_interval"'),
        ("scrape_configs:\n  - job_name: a\n  - job_name: a\n", "3:", "a"),
        ("global:\n  scrape_interval: 5 parsecs\n", "2:20", "5 parsecs"),
        ("rule_files: [broken.yml]\n", "broken.yml:5:", "unclosed left parenthesis"),
        ("global: {}\nglobal: {}\n", "2:1", "global"),
    ],
)
def test_a_broken_configuration_ends_with_2_and_one_line_with_place_and_cure(
    tmp_path: Path, text: str, place: str, words: str
):
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / "broken.yml").write_text("groups:\n  - name: g\n    rules:\n      - record: a\n        expr: sum(\n")
    for command in (["server", f"--storage.tsdb.path={tmp_path / 'data'}", "--config.file"], ["check", "config"]):
        ended = run_nunchi(*command, str(tmp_path / "prometheus.yml"))
        assert ended.returncode == 2, ended
        line = ended.stderr.strip()
        assert len(line.splitlines()) == 1, line
        assert place in line
        assert words in line


def test_a_taken_port_an_unwritable_folder_and_an_open_listener_are_one_clear_line(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        data = f"--storage.tsdb.path={tmp_path / 'data'}"
        blocked = tmp_path / "file"
        blocked.write_text("not a folder")
        cases = [
            ([data, f"--web.listen-address={address}"], address),
            ([f"--storage.tsdb.path={blocked / 'data'}", "--web.listen-address=127.0.0.1:0"], str(blocked)),
            ([data, "--web.listen-address=0.0.0.0:0"], "--web.config.file"),
            ([data, "--web.listen-address=nonsense"], "nonsense"),
        ]
        for flags, words in cases:
            ended = run_nunchi("up", *flags)
            assert ended.returncode in (1, 2), ended
            assert "Traceback" not in ended.stderr
            assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
            assert words in ended.stderr


def test_an_unknown_flag_is_refused_with_the_nearest_one():
    ended = run_nunchi("server", "--storage.tsdb.pth=x")
    assert ended.returncode == 2
    assert "--storage.tsdb.path" in ended.stderr


def test_check_config_says_what_it_found(tmp_path: Path):
    (tmp_path / "prometheus.yml").write_text("scrape_configs: [{job_name: a}]\n")
    ended = run_nunchi("check", "config", str(tmp_path / "prometheus.yml"))
    assert ended.returncode == 0, ended.stderr
    assert json.dumps("prometheus.yml")[1:-1] in ended.stdout
