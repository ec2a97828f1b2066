"""What the server refused for good: found by halving, kept with its reason, within bounds."""

import io
from pathlib import Path

from tests.agent.forwarding import Sender, Server, serving

from nunchi.agent.forwarder.set_aside import BYTES_MAX, PAYLOADS_MAX, SetAside
from nunchi.kit.logs import logger
from nunchi.kit.system_disk import SystemDisk
from nunchi.testing.clock import VirtualClock
from nunchi.wire.payload import PayloadReader
from nunchi.wire.payload_envelope import BODY_BYTES_MAX, open_envelope


def made(folder: Path) -> SetAside:
    return SetAside(folder, SystemDisk(), VirtualClock(), logger("test"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_poison_alone_is_set_aside_with_the_servers_words(tmp_path: Path) -> None:
    server = Server()
    server.poison_values = {37.0}
    async with serving(server) as url:
        sender = Sender(url)
        sender.spool._set_aside = made(tmp_path)
        sender.collect(60)
        await sender.run_until_idle()
    [payload, words] = names(tmp_path)
    assert "400" in (tmp_path / words).read_text()
    body = (tmp_path / payload).read_bytes()
    found = PayloadReader().read_body(open_envelope(body, BODY_BYTES_MAX))
    assert [list(one.values) for one in found.rounds] == [[37.0]]


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    aside = made(tmp_path)
    for number in range(PAYLOADS_MAX + 5):
        aside.put(bytes([number]), f"word {number}")
    kept = [name for name in names(tmp_path) if name.endswith(".payload")]
    assert [(tmp_path / name).read_bytes() for name in kept] == [
        bytes([number]) for number in range(5, PAYLOADS_MAX + 5)
    ]
    assert len(names(tmp_path)) == 2 * PAYLOADS_MAX
    made(tmp_path).put(bytes(BYTES_MAX), "large")
    assert len(names(tmp_path)) == 2, "what is large takes the place of all others"


def test_a_disk_that_takes_nothing_costs_the_copy_alone(tmp_path: Path, log_text: io.StringIO) -> None:
    (tmp_path / "file").touch()
    made(tmp_path / "file").put(b"payload", "why")
    assert "is not kept" in log_text.getvalue()
