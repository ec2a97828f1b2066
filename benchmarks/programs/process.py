"""Processes as the kernel shows them, programs where they are, ports that nobody has."""

import os
import shutil
import socket
from pathlib import Path


def find_program(name: str) -> str | None:
    """Where a program is: in $NUNCHI_PEERS, on PATH, or where daemons are; None where it is not installed."""
    folders = (os.environ.get("NUNCHI_PEERS", ""), os.environ["PATH"], "/usr/sbin")
    return shutil.which(name, path=os.pathsep.join(filter(None, folders)))


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of the loopback that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(process: int) -> float:
    """What a process has used so far, in user and kernel."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(process: int) -> float:
    """Memory of a process, in MiB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
