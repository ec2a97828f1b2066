"""Other settings while StatsD listens: what they do not speak of goes on and keeps what was counted."""

import asyncio
import socket
from pathlib import Path

from tests.agent.statsd.test_statsd import running, shown, wait_shown
from tests.peers import free_port

from nunchi.agent.statsd.settings import StatsdSettings
from nunchi.agent.statsd.statsd import Statsd
from nunchi.kit.settings import load

MAPPED = (
    "mapping: {defaults: {histogram_options: {buckets: [1]}}, mappings: [{match: 'a.*', name: a, labels: {part: $1}}]}"
)


async def apply(statsd: Statsd, text: str) -> None:
    await statsd.apply(statsd.plan(load(StatsdSettings, text, "test"), 10.0))


def send(port: int, *lines: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto("\n".join(lines).encode(), ("127.0.0.1", port))


async def test_sockets_that_stay_are_left_alone_and_others_come_and_go(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    async with running(f'{{udp: ["127.0.0.1:{port}"], unix_stream: ["{tmp_path}/s"]}}') as statsd:
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        listening = list(statsd._listeners._opened.values())
        await apply(statsd, f'{{udp: ["127.0.0.1:{port}", "127.0.0.1:{other}"], unix_stream: ["{tmp_path}/s"]}}')
        assert list(statsd._listeners._opened.values())[:2] == listening
        writer.write((4).to_bytes(4, "little") + b"x:1|c")
        send(other, "y:1|c")
        await apply(statsd, f'{{udp: ["127.0.0.1:{other}"]}}')
        assert statsd.udp_ports == [other]
        assert not (tmp_path / "s").exists()
        send(other, "y:1|c")
        assert (await wait_shown(statsd, "y", 2))["y"] == 2
        writer.close()


async def test_a_port_that_is_taken_is_tried_again_and_stops_no_other() -> None:
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        async with running('{udp: ["127.0.0.1:0"]}') as statsd:
            await apply(statsd, f'{{udp: ["127.0.0.1:0", "127.0.0.1:{port}"]}}')
            assert len(statsd.udp_ports) == 1
            assert not statsd.is_listening.is_set()
            taken.close()
            await apply(statsd, f'{{udp: ["127.0.0.1:0", "127.0.0.1:{port}"]}}')
            assert port in statsd.udp_ports
            assert statsd.is_listening.is_set()


async def test_series_that_rules_leave_as_they_are_keep_what_was_counted() -> None:
    async with running(f'{{udp: ["127.0.0.1:0"], {MAPPED}}}') as statsd:
        take = statsd.aggregation.take
        take(b"a.x:1|c\nb:2|c\nt:500|ms\ng:5|g\nu:1|s")
        before = shown(statsd)
        await apply(statsd, f'{{udp: ["127.0.0.1:0"], series_max: 100, signed_gauges: absolute, {MAPPED}}}')
        assert shown(statsd) == before
        take(b"a.x:1|c\nb:2|c\nt:500|ms\ng:-5|g")
        assert shown(statsd)["a,part=x"] == 2
        assert shown(statsd)["b"] == 4
        assert shown(statsd)["t_bucket,le=1"] == 2
        assert shown(statsd)["g"] == -5


async def test_what_is_called_or_cut_otherwise_now_begins_anew_and_what_is_dropped_goes() -> None:
    async with running(f'{{udp: ["127.0.0.1:0"], {MAPPED}}}') as statsd:
        take = statsd.aggregation.take
        take(b"a.x:1|c\nb:2|c\nt:500|ms\nd:1|c")
        rules = "mappings: [{match: 'a.*', name: a, labels: {whole: $1}}, {match: d, action: drop}]"
        await apply(statsd, f'{{udp: ["127.0.0.1:0"], mapping: {{{rules}}}}}')
        assert shown(statsd) == {"b": 2}
        take(b"a.x:1|c\nb:2|c\nt:500|ms\nd:1|c")
        assert shown(statsd) == {"a,whole=x": 1, "b": 4}


async def test_a_mapping_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("mappings: [{match: one, name: first}]")
    async with running('{udp: ["127.0.0.1:0"], mapping_file: rules.yml}', tmp_path) as statsd:
        statsd.aggregation.take(b"one:1|c\ntwo:1|c")
        (tmp_path / "rules.yml").write_text("mappings: [{match: one, name: other}]")
        await apply(statsd, '{udp: ["127.0.0.1:0"], mapping_file: rules.yml}')
        statsd.aggregation.take(b"one:1|c\ntwo:1|c")
        assert shown(statsd) == {"other": 1, "two": 2}
