"""Several instances of one service check: an object each, labels each, and no way to have one hide the other."""

from pathlib import Path

import pytest
from tests.agent.checks.services import measure, saying_peer

from nunchi.agent.checks import CHECKS
from nunchi.agent.configuration import ConfigurationFolder
from nunchi.agent.instances import Instances
from nunchi.kit.settings import SettingsError

PAGE = b"Active connections: %d \nserver accepts handled requests\n 2 2 3 \nReading: 0 Writing: 1 Waiting: 1 \n"


def configure(folder: Path, check: str, text: str) -> ConfigurationFolder:
    (folder / "conf.d").mkdir(exist_ok=True)
    (folder / f"conf.d/{check}.yaml").write_text(text)
    return ConfigurationFolder(folder, {})


def test_two_instances_ask_two_services_and_have_their_own_labels(tmp_path: Path) -> None:
    answers = [b"HTTP/1.1 200 OK\r\n\r\n" + PAGE % number for number in (7, 8)]
    with saying_peer(answers[0]) as one, saying_peer(answers[1]) as two:
        lines = [f"- {{url: http://127.0.0.1:{port}/, labels: {{server: s{port}}}}}" for port in (one, two)]
        source = configure(tmp_path, "nginx", "instances:\n" + "\n".join(lines) + "\n")
        wanted = [found for found in source.load().instances if found.check.name == "nginx"]
        instances = [instance for _, instance in Instances().plan(wanted)]
        assert [instance.name for instance in instances] == ["nginx/1", "nginx/2"]
        shown = [measure(instance.check) for instance in instances]
    assert shown[0].value("nginx_connections_active", server=f"s{one}") == 7
    assert shown[1].value("nginx_connections_active", server=f"s{two}") == 8
    assert all(labels == (("server", f"s{one}"),) for _, labels in shown[0].samples)


def test_two_instances_with_the_same_labels_are_refused_with_the_cure(tmp_path: Path) -> None:
    source = configure(tmp_path, "redis", "instances:\n- {}\n- {address: 127.0.0.1:6380}\n")
    with pytest.raises(SettingsError, match=r"redis.*same labels: give each its own, as in labels: \{server: one\}"):
        source.load()


def test_no_service_check_runs_unless_it_is_mentioned(tmp_path: Path) -> None:
    running = {found.check.name for found in ConfigurationFolder(tmp_path, {}).load().instances}
    assert running == {check.name for check in CHECKS if check.is_default}
    assert not running & {"redis", "http", "docker", "textfile"}


def test_every_check_can_be_made_of_its_defaults() -> None:
    for check in CHECKS:
        assert check(check.settings_type()).settings.labels == {}
