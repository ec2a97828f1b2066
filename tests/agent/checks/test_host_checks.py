"""Host checks: beside node_exporter where it reads the same, else on trees and programs of our own."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from tests.agent.checks.services import Measured, Samples, Types, exposition, find_exporter, listens, measure, started
from tests.peers import free_port

from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.checks.processes import ProcessesCheck, ProcessesSettings
from nunchi.agent.checks.systemd import SystemdCheck, SystemdSettings
from nunchi.agent.checks.textfile import TextfileCheck, TextfileSettings
from nunchi.agent.checks.thermal import ThermalCheck
from nunchi.agent.errors import Unavailable
from nunchi.agent.root import Root

SYSTEMCTL = """#!/bin/sh
case "$*" in
*SystemState*) printf 'Version=252.39-1\\nSystemState=degraded\\n' ;;
*) cat <<'END'
Id=web.service
Type=notify
LoadState=loaded
ActiveState=active
ActiveEnterTimestamp=@1700000000
NRestarts=3
TasksCurrent=7
TasksMax=18446744073709551615

Id=broken.service
Type=simple
LoadState=loaded
ActiveState=failed
NRestarts=0

Id=daily.timer
LoadState=loaded
ActiveState=active
LastTriggerUSec=@1700000123

Id=ssh.socket
LoadState=loaded
ActiveState=active
NAccepted=9
NConnections=1
NRefused=0

Id=tmp.mount
LoadState=loaded
ActiveState=active

Id=gone.service
LoadState=not-found
ActiveState=inactive
END
;;
esac
"""


def peer(tmp_path: Path, *flags: str) -> tuple[Samples, Types]:
    program = find_exporter((1, 9), "prometheus-node-exporter", "node_exporter")
    port = free_port()
    command = [program, f"--web.listen-address=127.0.0.1:{port}", "--collector.disable-defaults", *flags]
    with started(command, listens(port), tmp_path / "peer.log"):
        return exposition(f"http://127.0.0.1:{port}/metrics")


def host_metrics(shown: tuple[Samples, Types]) -> Samples:
    return {
        series: value
        for series, value in shown[0].items()
        if not series[0].startswith(("go_", "process_", "promhttp", "node_scrape", "node_exporter"))
    }


def sensors(folder: Path) -> Root:
    device = folder / "sys/devices/platform/coretemp.0"
    chip = device / "hwmon/hwmon0"
    chip.mkdir(parents=True)
    (folder / "sys/bus/platform").mkdir(parents=True)
    (device / "subsystem").symlink_to(folder / "sys/bus/platform")
    (chip / "device").symlink_to(device)
    files = {
        "name": "coretemp",
        "temp1_input": "42500",
        "temp1_max": "80000",
        "temp1_crit": "100000",
        "temp1_crit_alarm": "0",
        "temp1_label": "Package id 0",
        "fan1_input": "1200",
        "fan1_alarm": "1",
        "in0_input": "1100",
        "power1_average": "15000000",
    }
    for name, text in files.items():
        (chip / name).write_text(text + "\n")
    (folder / "sys/class/hwmon").mkdir(parents=True)
    (folder / "sys/class/hwmon/hwmon0").symlink_to(chip)
    for name, text in {
        "thermal_zone0/type": "acpitz",
        "thermal_zone0/temp": "30000",
        "thermal_zone0/policy": "step_wise",
    }.items():
        path = folder / "sys/class/thermal" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    for name, text in {"type": "Processor", "cur_state": "2", "max_state": "10"}.items():
        path = folder / "sys/class/thermal/cooling_device0" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return Root(sys=str(folder / "sys"))


@pytest.mark.peer
def test_sensors_are_shown_as_node_exporter_shows_them(tmp_path: Path) -> None:
    root = sensors(tmp_path)
    theirs = peer(tmp_path, f"--path.sysfs={root.sys}", "--collector.hwmon", "--collector.thermal_zone")
    ours = measure(ThermalCheck(CheckSettings()), root)
    assert ours.error is None
    assert {series: ours.samples.get(series) for series in host_metrics(theirs)} == host_metrics(theirs)
    assert {name: ours.types[name] for name, _ in host_metrics(theirs)} == {
        name: theirs[1][name] for name, _ in host_metrics(theirs)
    }


def test_sensors_of_a_tree(tmp_path: Path) -> None:
    ours = measure(ThermalCheck(CheckSettings()), sensors(tmp_path))
    chip = {"chip": "platform_coretemp_0", "sensor": "temp1"}
    assert ours.value("node_hwmon_temp_celsius", **chip) == 42.5
    assert ours.value("node_thermal_zone_temp", zone="0", type="acpitz") == 30
    assert ours.value("node_cooling_device_cur_state", name="0", type="Processor") == 2
    (tmp_path / "none").mkdir()
    assert isinstance(measure(ThermalCheck(CheckSettings()), Root(sys=str(tmp_path / "none"))).error, Unavailable)


@pytest.mark.peer
def test_text_files_are_shown_as_node_exporter_shows_them(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.prom").write_text('# HELP jobs J.\n# TYPE jobs counter\njobs{kind="a \\"b\\""} 3\nfree 1.5\n')
    (folder / "b.prom").write_text('# TYPE h histogram\nh_bucket{le="+Inf"} 2\nh_sum 1\nh_count 2\n')
    os.utime(folder / "a.prom", (1_700_000_000, 1_700_000_000))
    theirs = peer(tmp_path, "--collector.textfile", f"--collector.textfile.directory={folder}")
    ours = measure(TextfileCheck(TextfileSettings(folders=(str(folder),))))
    assert ours.error is None
    assert ours.samples == host_metrics(theirs)


def test_bad_text_file_costs_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "bad.prom").write_text("good 1\nnot a sample at all\n")
    (tmp_path / "good.prom").write_text("fine 1\n")
    os.mkfifo(tmp_path / "pipe.prom")
    ours = measure(TextfileCheck(TextfileSettings(folders=(str(tmp_path),))))
    assert ours.value("fine") == 1
    assert ours.of("good") == {}
    assert ours.value("node_textfile_scrape_error") == 1
    assert "bad.prom: line 2: not a sample" in str(ours.error)


def systemd(tmp_path: Path, text: str, **settings: object) -> Measured:
    program = tmp_path / "systemctl"
    program.write_text(text)
    program.chmod(0o755)
    return measure(SystemdCheck(SystemdSettings(program=str(program), **settings)), deadline_seconds=1)  # type: ignore[arg-type]


def test_units_are_shown_under_node_exporters_names(tmp_path: Path) -> None:
    ours = systemd(tmp_path, SYSTEMCTL)
    assert ours.error is None
    assert ours.value("node_systemd_version", version="252.39-1") == 252
    assert ours.value("node_systemd_system_running") == 0
    assert ours.value("node_systemd_units", state="failed") == 1
    assert ours.value("node_systemd_unit_state", name="web.service", state="active", type="notify") == 1
    assert ours.value("node_systemd_unit_state", name="broken.service", state="failed", type="simple") == 1
    assert ours.value("node_systemd_unit_start_time_seconds", name="web.service") == 1_700_000_000
    assert ours.value("node_systemd_service_restart_total", name="web.service") == 3
    assert ours.value("node_systemd_timer_last_trigger_seconds", name="daily.timer") == 1_700_000_123
    assert ours.value("node_systemd_socket_accepted_connections_total", name="ssh.socket") == 9
    assert ours.of("node_systemd_unit_tasks_max") == {}
    shown = {dict(labels)["name"] for labels in ours.of("node_systemd_unit_state")}
    assert shown == {"web.service", "broken.service", "daily.timer", "ssh.socket"}


def test_systemctl_that_hangs_or_fails_is_named(tmp_path: Path) -> None:
    hanging = systemd(tmp_path, "#!/bin/sh\nexec sleep 60\n")
    assert "does not answer within 0.8 s" in str(hanging.error)
    assert hanging.seconds < 1
    assert "Failed to connect to bus" in str(
        systemd(tmp_path, "#!/bin/sh\necho Failed to connect to bus >&2; exit 1\n").error
    )


@pytest.mark.peer
def test_process_counts_are_those_of_node_exporter(tmp_path: Path) -> None:
    theirs, types = peer(tmp_path, "--collector.processes")
    ours = measure(ProcessesCheck(ProcessesSettings()))
    assert ours.error is None
    for name in ("node_processes_max_processes", "node_processes_max_threads"):
        assert ours.value(name) == theirs[name, ()]
    for name in ("node_processes_pids", "node_processes_threads", "node_processes_state"):
        assert ours.types[name] == types[name]
    assert abs(ours.value("node_processes_pids") - theirs["node_processes_pids", ()]) < 50


def test_group_that_uses_most_is_shown_and_never_falls() -> None:
    check = ProcessesCheck(ProcessesSettings(top=3, per_process=True))
    measure(check)
    with subprocess.Popen(["/usr/bin/env", "bash", "-c", "while :; do :; done"]) as busy:
        try:
            deadline = time.monotonic() + 5
            while True:
                time.sleep(0.2)
                shown = measure(check)
                group = shown.of("namedprocess_namegroup_cpu_seconds_total").get(
                    (("groupname", "bash"), ("mode", "user")), 0
                )
                pids = {dict(labels)["pid"] for labels in shown.of("namedprocess_process_cpu_seconds_total")}
                if group > 0 and str(busy.pid) in pids:
                    break
                assert time.monotonic() < deadline
        finally:
            busy.kill()
    before = check._totals["bash"][0]
    measure(check)
    assert check._totals["bash"][0] >= before
    assert len(shown.of("namedprocess_namegroup_num_procs")) <= 6
