"""Control groups of both versions: trees written after the kernel's cgroup-v1 and cgroup-v2 documents, and this machine."""

from pathlib import Path

import pytest
from tests.agent.checks.services import Measured, measure

from nunchi.agent.cgroups import Cgroup, cgroup_of_process
from nunchi.agent.checks.cgroup import CgroupCheck, CgroupSettings
from nunchi.agent.root import Root

UNIFIED = {
    "cgroup.controllers": "cpu io memory pids",
    "cpu.stat": "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\n"
    "nr_periods 10\nnr_throttled 4\nthrottled_usec 700000",
    "cpu.max": "50000 100000",
    "cpu.weight": "100",
    "cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000",
    "memory.current": "1000",
    "memory.peak": "4000",
    "memory.max": "max",
    "memory.low": "0",
    "memory.swap.max": "2048",
    "memory.swap.current": "7",
    "memory.stat": "anon 300\nfile 600\nfile_mapped 50\ninactive_file 400\npgfault 11\npgmajfault 2",
    "memory.events": "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1",
    "io.stat": "8:0 rbytes=100 wbytes=200 rios=3 wios=4 dbytes=0 dios=0\n8:16 \n",
    "pids.current": "6",
    "pids.max": "max",
    "cgroup.procs": "10\n11\n",
}
V1 = {
    "cpuacct/cpuacct.usage": "5000000000",
    "cpuacct/cpuacct.stat": "user 300\nsystem 200",
    "cpu/cpu.cfs_quota_us": "-1",
    "cpu/cpu.cfs_period_us": "100000",
    "cpu/cpu.shares": "1024",
    "memory/memory.usage_in_bytes": "1000",
    "memory/memory.limit_in_bytes": "9223372036854771712",
    "memory/memory.failcnt": "5",
    "memory/memory.stat": "pgfault 1\ntotal_cache 600\ntotal_rss 300\ntotal_inactive_file 1400\ntotal_pgfault 11",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3",
    "memory/cgroup.procs": "10",
    "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 100\n8:0 Write 200\n8:0 Total 300\nTotal 300",
    "pids/pids.current": "6",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def root_of(folder: Path) -> Root:
    write(folder / "sys/dev/block/8:0", {"uevent": "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk"})
    return Root(proc=str(folder / "proc"), sys=str(folder / "sys"))


def check(root: Root, **settings: object) -> Measured:
    return measure(CgroupCheck(CgroupSettings(**settings)), root)  # type: ignore[arg-type]


@pytest.fixture
def unified(tmp_path: Path) -> Root:
    write(tmp_path / "sys/fs/cgroup", UNIFIED)
    write(tmp_path / "sys/fs/cgroup/system.slice/web.service", UNIFIED)
    return root_of(tmp_path)


def test_version_2_is_shown_under_cadvisors_names(unified: Root) -> None:
    shown = check(unified, include="web")
    assert shown.error is None
    path = {"id": "/system.slice/web.service"}
    expected = {
        "cpu_user_seconds_total": 3,
        "cpu_cfs_throttled_seconds_total": 0.7,
        "spec_cpu_quota": 50000,
        "spec_cpu_shares": 2597,
        "pressure_cpu_waiting_seconds_total": 1.5,
        "memory_working_set_bytes": 600,
        "memory_max_usage_bytes": 4000,
        "memory_rss": 300,
        "memory_swap": 7,
        "oom_events_total": 1,
        "spec_memory_limit_bytes": 0,
        "spec_memory_swap_limit_bytes": 2048,
        "threads": 6,
        "threads_max": 0,
        "processes": 2,
    }
    assert {name: shown.value(f"container_{name}", **path) for name in expected} == expected
    assert shown.value("container_cpu_usage_seconds_total", cpu="total", **path) == 5
    assert shown.value("container_fs_writes_bytes_total", device="/dev/sda", **path) == 200
    assert shown.value("container_fs_reads_total", device="/dev/sda", **path) == 3
    assert shown.value("container_memory_failures_total", failure_type="pgmajfault", scope="container", **path) == 2
    assert shown.types["container_cpu_usage_seconds_total"] == "counter"


def test_version_1_shows_the_same_names(tmp_path: Path) -> None:
    for file, text in V1.items():
        controller, name = file.split("/")
        write(tmp_path / f"sys/fs/cgroup/{controller}/docker/abc", {name: text})
    shown = check(root_of(tmp_path), include="^/docker/")
    assert shown.error is None
    path = {"id": "/docker/abc"}
    expected = {
        "cpu_system_seconds_total": 2,
        "spec_cpu_shares": 1024,
        "memory_working_set_bytes": 0,
        "memory_cache": 600,
        "memory_failcnt": 5,
        "oom_events_total": 3,
        "spec_memory_limit_bytes": 0,
        "processes": 1,
    }
    assert {name: shown.value(f"container_{name}", **path) for name in expected} == expected
    assert shown.of("container_spec_cpu_quota") == {}
    assert shown.of("container_cpu_cfs_periods_total") == {}
    assert shown.value("container_fs_reads_bytes_total", device="/dev/sda", **path) == 100


def test_groups_beyond_the_bound_are_counted(unified: Root) -> None:
    shown = check(unified, include=".", groups_max=1)
    assert shown.value("container_cgroups_omitted") == 2
    assert len(shown.of("container_processes")) == 1


def test_host_without_a_matching_group_says_so(unified: Root) -> None:
    assert "matches include: nothing-of-this-name" in str(check(unified, include="nothing-of-this-name").error)


def test_process_tells_its_group(tmp_path: Path) -> None:
    write(tmp_path / "proc/7", {"cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/"})
    write(tmp_path / "proc/8", {"cgroup": "0::/../elsewhere"})
    root = root_of(tmp_path)
    found = cgroup_of_process(root, 7)
    assert found is not None
    assert (found.id, found.is_unified) == ("/docker/abc", False)
    assert cgroup_of_process(root, 9) is None
    write(tmp_path / "sys/fs/cgroup", {"cgroup.controllers": "cpu"})
    assert cgroup_of_process(root, 7) == Cgroup({"": "/"})
    assert cgroup_of_process(root, 8) is None


def test_this_machine_has_groups_to_read() -> None:
    shown = check(Root(), include="^/$")
    if not Path("/sys/fs/cgroup/memory").exists() and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("no control groups are mounted here")
    assert shown.error is None
    assert len(shown.names()) > 5
