"""Every check on frozen hosts: against the exposition kept beside the tree, and against node_exporter reading the same tree."""

import os
import re
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest
from tests.agent.frozen import (
    CASES,
    TREES,
    Series,
    format_text,
    is_of_the_running_kernel,
    measure,
    measure_all,
    parse_text,
    unpack,
)
from tests.peers import find_peer, free_port, running

from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.checks import CHECKS
from nunchi.agent.checks.cpu import CpuCheck, parse_cpu_list
from nunchi.agent.checks.filesystem import FilesystemCheck, FilesystemSettings
from nunchi.agent.mounts import TIMEOUT, MountReader
from nunchi.agent.root import Root
from nunchi.kit.clock import SystemClock

COLLECTORS = """
arp conntrack cpu diskstats entropy filefd filesystem loadavg meminfo netclass netdev netstat os pressure schedstat sockstat
softnet stat time timex udp_queues uname vmstat
"""

# What is not as node_exporter 1.9 shows it, and why.
EXCEPTIONS = {
    "node_disk_info": "it shows rotational 0 where an older or newer kernel lacks some other file of the queue folder",
    "node_filesystem_readonly": "it reads the mount's options alone, and so misses a file system that an error made read-only",
    "node_network_receive_nohandler_total": "it asks the kernel by netlink, not the tree; the live test compares it",
    "node_time_seconds": "read at two moments",
    "node_filesystem_avail_bytes": "read at two moments, of the file system that the tree is unpacked on",
    "node_filesystem_free_bytes": "likewise",
    "node_filesystem_files_free": "likewise",
    "node_time_zone_offset_seconds": "the zone's name may be spelled in two ways",
}


def comparable(samples: dict[Series, float]) -> dict[Series, float]:
    return {series: value for series, value in samples.items() if not is_of_the_running_kernel(series)}


@pytest.mark.parametrize("case", CASES)
def test_frozen_host_is_shown_as_kept_beside_it(case: str, tmp_path: Path) -> None:
    samples, types = measure_all(unpack(case, tmp_path))
    shown = format_text(comparable(samples), types)
    expected = TREES / case / "expected.prom"
    if os.environ.get("NUNCHI_UPDATE_EXPECTED"):
        expected.write_text(shown)
    assert shown == expected.read_text()


def find_node_exporter() -> str:
    program = find_peer("prometheus-node-exporter", "node_exporter")
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"version (\d+)\.(\d+)", answer.stdout + answer.stderr)
    if version is None or (int(version[1]), int(version[2])) < (1, 9):
        pytest.skip(f"{program} is older than 1.9, whose exposition is the measure")
    return program


def peer_exposition(tmp_path: Path, *flags: str) -> str:
    address = f"127.0.0.1:{free_port()}"
    enabled = [f"--collector.{collector}" for collector in COLLECTORS.split()]
    command = [
        find_node_exporter(),
        f"--web.listen-address={address}",
        "--collector.disable-defaults",
        *enabled,
        *flags,
    ]
    url = f"http://{address}/metrics"
    with running(command, url, tmp_path / "peer.log"), urllib.request.urlopen(url) as answer:
        text: str = answer.read().decode()
    return "\n".join(line for line in text.split("\n") if re.match(r"(# TYPE )?node_(?!scrape|exporter)", line))


@pytest.mark.peer
@pytest.mark.parametrize("case", CASES)
def test_node_exporter_shows_the_same_frozen_host(case: str, tmp_path: Path) -> None:
    root = unpack(case, tmp_path)
    theirs, their_types = parse_text(
        peer_exposition(
            tmp_path,
            f"--path.procfs={root.proc}",
            f"--path.sysfs={root.sys}",
            f"--path.rootfs={root.rootfs}",
            f"--path.udev.data={root.udev}",
            "--no-collector.netdev.netlink",
            "--no-collector.arp.netlink",
        )
    )
    ours, our_types = measure_all(root)
    assert {name: our_types[name] for name in their_types} == their_types
    different = {
        series: (ours.get(series), theirs.get(series))
        for series in ours.keys() | theirs.keys()
        if ours.get(series) != theirs.get(series) and series[0] not in EXCEPTIONS
    }
    assert different == {}
    assert len(theirs) > 100


@pytest.mark.peer
def test_node_exporter_shows_the_same_series_of_this_host(tmp_path: Path) -> None:
    theirs, their_types = parse_text(peer_exposition(tmp_path))
    ours, our_types = measure_all(Root())
    volatile = ("node_disk_info", "node_arp_entries", "node_cpu_")
    differences = {series for series in ours.keys() ^ theirs.keys() if not series[0].startswith(volatile)}
    assert differences == set()
    assert {name: our_types[name] for name in their_types} == their_types
    still = (
        "node_boot_time",
        "node_memory_MemTotal",
        "node_uname",
        "node_timex_tick",
        "node_timex_tai",
        "node_filesystem_size",
    )
    assert {s: v for s, v in ours.items() if s[0].startswith(still)} == {
        s: v for s, v in theirs.items() if s[0].startswith(still)
    }


def test_registry_names_each_check_once() -> None:
    names = [check.name for check in CHECKS]
    assert names == sorted(set(names))
    assert {"cpu", "memory", "load", "filesystem", "disk", "network", "pressure", "timex", "uname"} <= set(names)


def cpu_seconds(check: CpuCheck, root_folder: Path, line: str) -> dict[str, float]:
    (root_folder / "stat").write_text(line)
    emission = measure(check, Root(proc=str(root_folder), sys=str(root_folder / "none")))
    return {dict(labels)["mode"]: value for name, labels, value in emission.samples if name == "node_cpu_seconds_total"}


def test_cpu_counters_are_held_when_the_kernel_takes_a_little_back(tmp_path: Path) -> None:
    check = CpuCheck(CheckSettings())
    cpu_seconds(check, tmp_path, "cpu0 100 0 0 1000 50 0 0 0 0 0\n")
    now = cpu_seconds(check, tmp_path, "cpu0 110 0 0 900 40 0 0 0 0 0\n")
    assert (now["user"], now["idle"], now["iowait"]) == (1.1, 10.0, 0.5)


def test_cpu_counters_begin_again_when_idle_time_falls_by_seconds(tmp_path: Path) -> None:
    check = CpuCheck(CheckSettings())
    cpu_seconds(check, tmp_path, "cpu0 100 0 0 1000 50 0 0 0 0 0\n")
    now = cpu_seconds(check, tmp_path, "cpu0 1 0 0 2 3 0 0 0 0 0\n")
    assert (now["user"], now["idle"], now["iowait"]) == (0.01, 0.02, 0.03)


def test_cpu_list_of_the_kernel_is_understood() -> None:
    assert parse_cpu_list("") == []
    assert parse_cpu_list("1,3-5,9") == [1, 3, 4, 5, 9]


class DeadMount:
    """A statvfs that hangs on one path until released, and counts how often it is asked."""

    def __init__(self, dead: str) -> None:
        self.dead = dead
        self.asked = 0
        self.released = threading.Event()

    def __call__(self, path: str) -> os.statvfs_result:
        if path == self.dead:
            self.asked += 1
            self.released.wait(30)
        return os.statvfs("/")


def test_dead_mount_is_shown_and_not_asked_again_and_delays_no_other() -> None:
    dead = DeadMount("/dead")
    reader = MountReader(SystemClock(), dead)
    paths = ["/dead", *(f"/mount{number}" for number in range(40))]
    for _ in range(3):
        answers = reader.read(paths, 2.0)
        assert answers["/dead"] == TIMEOUT
        assert all(isinstance(answer, os.statvfs_result) for path, answer in answers.items() if path != "/dead")
    assert dead.asked == 1
    dead.released.set()
    answer = reader.read(["/dead"], 0.0)["/dead"]
    while answer == TIMEOUT:
        answer = reader.read(["/dead"], 5.0)["/dead"]
    assert isinstance(answer, os.statvfs_result)
    assert dead.asked == 2


def test_more_dead_mounts_than_threads_leave_the_check_alive() -> None:
    released = threading.Event()

    def hang(path: str) -> os.statvfs_result:
        released.wait(30)
        return os.statvfs(path)

    reader = MountReader(SystemClock(), hang)
    threads_before = threading.active_count()
    answers = reader.read([f"/dead{number}" for number in range(100)], 1.5)
    assert set(answers.values()) == {TIMEOUT}
    assert threading.active_count() - threads_before <= 16
    released.set()


def test_dead_mount_shows_an_error_and_no_sizes(tmp_path: Path) -> None:
    root = unpack("kernel_6_18", tmp_path)
    dead = DeadMount(root.host_path("/data"))
    check = FilesystemCheck(FilesystemSettings(), MountReader(SystemClock(), dead))
    samples = {
        (name, dict(labels)["mountpoint"]): (value, dict(labels))
        for name, labels, value in measure(check, root).samples
    }
    dead.released.set()
    value, labels = samples["node_filesystem_device_error", "/data"]
    assert (value, labels["device_error"]) == (1, TIMEOUT)
    assert ("node_filesystem_size_bytes", "/data") not in samples
    assert samples["node_filesystem_device_error", "/"][0] == 0
    assert samples["node_filesystem_size_bytes", "/"][0] > 0
