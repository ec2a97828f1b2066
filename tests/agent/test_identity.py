"""The agent's id: kept, made again when damaged, derived where nothing can be kept."""

import os
import random
from pathlib import Path

from nunchi.agent.identity import derive_id, load_identity, read_addresses
from nunchi.agent.root import Root
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.testing.clock import VirtualClock


def identity(folder: Path, root: Root, seed: int = 1, name: str = "") -> tuple[str, str]:
    found = load_identity(name, folder, "1", root, SystemDisk(), VirtualClock(), random.Random(seed), logger("test"))
    return found.id, found.name


def test_id_survives_a_restart_and_another_folder_has_another(tmp_path: Path) -> None:
    first, _ = identity(tmp_path / "a", Root())
    assert identity(tmp_path / "a", Root(), seed=2)[0] == first
    assert identity(tmp_path / "b", Root(), seed=3)[0] != first
    assert (tmp_path / "a" / "agent-id").stat().st_mode & 0o077 == 0


def test_damaged_id_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "agent-id").write_text("half an i")
    made, _ = identity(tmp_path, Root())
    assert len(made) == 32
    assert identity(tmp_path, Root(), seed=9)[0] == made


def test_id_is_derived_from_the_machine_where_it_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "file").write_text("")
    root = Root(rootfs=str(tmp_path))
    found, _ = identity(tmp_path / "file" / "below", root)
    assert found == derive_id(root) == identity(tmp_path / "file" / "below", root, seed=5)[0]
    assert "0123456789abcdef" not in found
    nameless = Root(rootfs=str(tmp_path / "none"))
    assert identity(tmp_path / "file" / "below", nameless)[0] == derive_id(nameless) != found


def test_name_is_the_hosts_unless_set(tmp_path: Path) -> None:
    assert identity(tmp_path, Root())[1] == os.uname().nodename
    assert identity(tmp_path, Root(), name="web-1")[1] == "web-1"


def test_addresses_leave_out_loopback_and_link_local(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "fib_trie").write_text(
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n        |-- 127.0.0.1\n           /32 host LOCAL\n"
        "        |-- 192.0.2.7\n           /32 host LOCAL\n        |-- 192.0.2.255\n           /32 link BROADCAST\n"
    )
    (tmp_path / "net" / "if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "20010db8000000000000000000000042 02 40 00 80     eth0\n"
        "fe800000000000000000000000000001 02 40 20 80     eth0\n"
    )
    assert read_addresses(Root(proc=str(tmp_path))) == ("192.0.2.7", "2001:db8:0:0:0:0:0:42")
    assert read_addresses(Root(proc=str(tmp_path / "none"))) == ()
