"""What is shipped to start agents: its settings are ones that an agent takes, and it asks for no more than it needs."""

from pathlib import Path
from typing import Any

import yaml

from nunchi.agent.configuration import ConfigurationFolder

ROOT = Path(__file__).resolve().parents[2] / "packaging"


def manifests() -> dict[str, Any]:
    documents = yaml.safe_load_all((ROOT / "kubernetes" / "nunchi-agent.yaml").read_text())
    return {document["kind"]: document for document in documents}


def test_the_settings_of_the_daemon_set_are_taken(tmp_path: Path) -> None:
    for name, text in manifests()["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    configuration = ConfigurationFolder(tmp_path, {"NODE_NAME": "node-7"}).load()
    assert configuration.settings.name == "node-7"
    assert configuration.settings.server.url.startswith("https://")
    assert "cgroup" in {one.check.name for one in configuration.instances}


def test_the_daemon_set_mounts_what_its_settings_name_and_may_change_its_state_alone() -> None:
    found = manifests()
    assert set(found) == {"ServiceAccount", "ConfigMap", "DaemonSet"}  # no roles: it asks the cluster for nothing
    assert found["ServiceAccount"]["automountServiceAccountToken"] is False
    [container] = found["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    settings = yaml.safe_load(found["ConfigMap"]["data"]["nunchi-agent.yaml"])
    assert set(settings["paths"].values()) <= mounts.keys()
    assert [path for path, is_read_only in mounts.items() if not is_read_only] == [settings["state_folder"]]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip


def test_the_service_of_systemd_reloads_by_the_signal_that_the_agent_hears() -> None:
    lines = dict(
        line.split("=", 1)
        for line in (ROOT / "systemd" / "nunchi-agent.service").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    assert lines["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert lines["ExecStart"].endswith("nunchi agent run")
    assert lines["StateDirectory"] == "nunchi-agent"
