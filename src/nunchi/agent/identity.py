"""Who this agent is: an id that survives restarts, a name, addresses, version, and when it started.

Invariant: the id is made once per state folder. Where nothing can be written it is derived from the machine's own id, which
it does not reveal.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nunchi.agent.root import Root, read_text
from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk, DiskError, DiskMissing
from nunchi.kit.logs import Logger

ID_FILE = "agent-id"
ID = re.compile(r"[0-9a-f]{32}")
ID_FILE_MODE = 0o600
LOCAL_ADDRESS = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")


@dataclass(frozen=True, slots=True)
class Identity:
    """`epoch` is another at every start: sequence numbers begin again at 0."""

    id: str
    name: str
    addresses: tuple[str, ...]
    version: str
    started_at_ms: int
    epoch: int


def load_identity(
    name: str, state_folder: Path, version: str, root: Root, disk: Disk, clock: Clock, random: Random, log: Logger
) -> Identity:
    """Who this agent is; an empty `name` becomes the host's."""
    agent_id = load_id(state_folder, root, disk, random, log)
    started_at_ms = clock.now_ms()
    return Identity(
        agent_id, name or os.uname().nodename, read_addresses(root), version, started_at_ms, epoch=started_at_ms
    )


def load_id(state_folder: Path, root: Root, disk: Disk, random: Random, log: Logger) -> str:
    """The id in the state folder, made where there is none."""
    path = state_folder / ID_FILE
    try:
        found = disk.read(path).decode(errors="replace").strip()
        if ID.fullmatch(found):
            return found
        log.warning("the agent's id is damaged: a new one is made", path=path)
    except DiskMissing:
        log.info("the agent has no id yet: one is made", path=path)
    except DiskError as error:
        log.warning("the agent's id cannot be read", path=path, error=error)
    made = f"{random.getrandbits(128):032x}"
    try:
        disk.make_folder(state_folder)
        disk.write_atomically(path, f"{made}\n".encode(), ID_FILE_MODE)
    except DiskError as error:
        log.warning("the agent's id cannot be kept: the machine's is used", path=path, error=error)
        return derive_id(root)
    return made


def derive_id(root: Root) -> str:
    """An id from the machine's own, empty where it has none."""
    try:
        machine_id = read_text(root.host_path("/etc/machine-id")).strip()
    except OSError:
        return ""
    return (
        hashlib.blake2b(machine_id.encode(), digest_size=16, person=b"nunchi agent").hexdigest() if machine_id else ""
    )


def read_addresses(root: Root) -> tuple[str, ...]:
    """The host's own addresses, without loopback and link-local ones."""
    addresses: set[str] = set()
    try:
        addresses.update(LOCAL_ADDRESS.findall(root.proc_text("net/fib_trie")))
    except OSError:
        addresses.clear()
    try:
        for line in root.proc_lines("net/if_inet6"):
            digits, _, _, scope, *_ = line.split()
            if scope == "00":
                groups = [format(int(digits[i : i + 4], 16), "x") for i in range(0, 32, 4)]
                addresses.add(":".join(groups))
    except OSError:
        pass
    return tuple(sorted(address for address in addresses if not address.startswith("127.")))
