"""The Docker check on a real engine in a network namespace of its own, with real containers on real control groups."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.agent.checks.services import Measured, measure, saying_peer, silent_peer, started
from tests.agent.frozen import parse_text
from tests.peers import find_peer

from nunchi.agent.checks.docker import DockerCheck, DockerSettings

pytestmark = pytest.mark.peer


@dataclass(frozen=True)
class Engine:
    socket: Path
    namespace: str

    def docker(self, *words: str) -> str:
        command = [find_peer("docker"), "-H", f"unix://{self.socket}", *words]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    def own_metrics(self) -> str:
        program = (
            "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9323/metrics').read().decode())"
        )
        command = ["ip", "netns", "exec", self.namespace, "python3", "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def check(self, **settings: object) -> Measured:
        return measure(DockerCheck(DockerSettings(address=f"unix:{self.socket}", **settings)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    program, busybox, ip = find_peer("dockerd"), find_peer("busybox"), find_peer("ip")
    find_peer("docker")
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    folder = tmp_path_factory.mktemp("docker")
    namespace = f"nunchi-docker-{os.getpid()}"
    subprocess.run([ip, "netns", "add", namespace], check=True)
    try:
        subprocess.run([ip, "-n", namespace, "link", "set", "lo", "up"], check=True)
        found = Engine(folder / "docker.sock", namespace)
        command = [
            *("nsenter", f"--net=/run/netns/{namespace}", program),
            *(
                "--data-root",
                str(folder / "data"),
                "--exec-root",
                str(folder / "exec"),
                "--pidfile",
                str(folder / "pid"),
            ),
            *("-H", f"unix://{found.socket}", "--bip", "172.31.250.1/24", "--storage-driver=vfs"),
            *("--metrics-addr", "127.0.0.1:9323", "--experimental"),
        ]
        with started(command, found.socket.exists, folder / "log"):
            wait_ready(found)
            make_containers(found, Path(busybox), folder)
            yield found
            found.docker("rm", "-f", "worker", "ended", "sick")
    finally:
        subprocess.run([ip, "netns", "delete", namespace], check=True)
        unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def unmount(folder: Path) -> None:
    """The engine leaves the mounts of its network namespaces behind when it is ended."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4]
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", point], check=False)


def wait_ready(engine: Engine) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            engine.docker("version")
        except AssertionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def make_containers(engine: Engine, busybox: Path, folder: Path) -> None:
    (folder / "image/bin").mkdir(parents=True)
    shutil.copy(busybox, folder / "image/bin/busybox")
    for applet in ("sh", "sleep", "true", "false", "dd"):
        (folder / "image/bin" / applet).symlink_to("busybox")
    archive = folder / "image.tar"
    subprocess.run(["tar", "-C", str(folder / "image"), "-cf", str(archive), "."], check=True)
    engine.docker("import", str(archive), "small:1")
    labels = ["--label", "com.example.team=blue"]
    limits = ["-m", "64m", "--cpus", "0.5"]
    engine.docker("run", "-d", "--name", "worker", *labels, *limits, "small:1", "sh", "-c", "while :; do :; done")
    engine.docker("run", "--name", "ended", "small:1", "true")
    check = ["--health-cmd", "false", "--health-interval", "100ms", "--health-retries", "1"]
    engine.docker("run", "-d", "--name", "sick", "--network", "host", *check, "small:1", "sleep", "1000")


def test_engine_facts_are_those_of_its_own_metrics(engine: Engine) -> None:
    ours = engine.check()
    assert ours.error is None
    theirs, their_types = parse_text(
        "".join(
            f"{line}\n"
            for line in engine.own_metrics().split("\n")
            if line.startswith(("engine_daemon", "# TYPE engine_daemon"))
        )
    )
    for name in (
        "engine_daemon_engine_info",
        "engine_daemon_engine_cpus_cpus",
        "engine_daemon_engine_memory_bytes",
        "engine_daemon_container_states_containers",
    ):
        assert ours.of(name) == {labels: value for (found, labels), value in theirs.items() if found == name}
        assert ours.types[name] == their_types[name]
    assert ours.value("docker_up") == 1


def test_running_container_is_read_from_its_control_groups_and_network(engine: Engine) -> None:
    ours = engine.check()
    pid = engine.docker("inspect", "-f", "{{.State.Pid}}", "worker")
    labels = next(dict(found) for found in ours.of("container_processes") if ("name", "worker") in found)
    assert labels["image"] == "small:1"
    assert labels["container_label_com_example_team"] == "blue"
    assert labels["id"] in Path(f"/proc/{pid}/cgroup").read_text()
    assert ours.value("container_spec_memory_limit_bytes", **labels) == 64 << 20
    assert ours.value("container_spec_cpu_quota", **labels) / ours.value("container_spec_cpu_period", **labels) == 0.5
    deadline = time.monotonic() + 5
    for metric, more in (("cpu_usage_seconds_total", {"cpu": "total"}), ("cpu_cfs_periods_total", {})):
        while engine.check().value(f"container_{metric}", **labels, **more) <= ours.value(
            f"container_{metric}", **labels, **more
        ):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert ours.value("container_memory_usage_bytes", **labels) > 0
    assert ours.value("container_network_receive_bytes_total", interface="eth0", **labels) >= 0
    assert ours.value("container_state", state="running", **labels) == 1


def test_host_network_shows_no_network_and_health_is_shown(engine: Engine) -> None:
    deadline = time.monotonic() + 10
    while not any(
        value and ("status", "unhealthy") in labels
        for labels, value in engine.check().of("container_health_status").items()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ours = engine.check()
    assert not any(("name", "sick") in labels for labels in ours.of("container_network_receive_bytes_total"))


def test_ended_container_keeps_its_exit_and_shows_no_use(engine: Engine) -> None:
    ours = engine.check(sizes=True, images=True)
    exits = {labels: value for labels, value in ours.of("container_exit_code").items() if ("name", "ended") in labels}
    assert list(exits.values()) == [0]
    assert not any(("name", "ended") in labels for labels in ours.of("container_memory_usage_bytes"))
    assert any(value > 100_000 for value in ours.of("container_size_rootfs_bytes").values())
    assert ours.value("docker_image_size_bytes", image="small:1") > 100_000


def test_engine_asked_for_the_use_says_the_same_within_what_passes_meanwhile(engine: Engine) -> None:
    groups, api = engine.check(), engine.check(source="api")
    assert api.error is None

    def of_worker(shown: Measured, metric: str) -> float:
        return next(value for labels, value in shown.of(metric).items() if ("name", "worker") in labels)

    before, after = (of_worker(shown, "container_cpu_usage_seconds_total") for shown in (groups, api))
    assert before <= after < before + 10
    assert of_worker(api, "container_memory_usage_bytes") == pytest.approx(
        of_worker(groups, "container_memory_usage_bytes"), rel=0.5
    )
    assert of_worker(api, "container_network_receive_bytes_total") >= of_worker(
        groups, "container_network_receive_bytes_total"
    )
    assert {name for name in api.names() if name.startswith("container_")} - groups.names() == set()


def test_include_and_exclude_choose_by_label(engine: Engine) -> None:
    def names(**settings: object) -> set[str]:
        return {dict(labels)["name"] for labels in engine.check(**settings).of("container_state")}

    assert names() == {"worker", "ended", "sick"}
    assert names(include={"container_label_com_example_team": "blue"}) == {"worker"}
    assert names(exclude={"name": "^(ended|sick)$"}) == {"worker"}
    bounded = engine.check(containers_max=1)
    assert bounded.value("docker_containers_omitted") == 2


def test_what_is_no_engine_is_down_with_the_reason() -> None:
    with saying_peer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") as port:
        shown = measure(DockerCheck(DockerSettings(address=f"http://127.0.0.1:{port}")))
        assert shown.value("docker_up") == 0
        assert "is this a Docker engine?" in str(shown.error)
    with silent_peer() as port:
        shown = measure(DockerCheck(DockerSettings(address=f"http://127.0.0.1:{port}")), deadline_seconds=0.5)
        assert shown.value("docker_up") == 0
        assert "no whole answer within 0.4 s" in str(shown.error)
        assert shown.seconds < 0.5
    shown = measure(DockerCheck(DockerSettings(address="unix:/nonexistent/docker.sock")))
    assert "/nonexistent/docker.sock" in str(shown.error)
    assert json.dumps(shown.value("docker_up")) == "0.0"
