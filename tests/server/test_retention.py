"""What bounds the samples that are kept: file, flags, and the default where neither speaks."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from nunchi.cli.server_flags import with_server_flags
from nunchi.server.configuration import ConfigurationLoader
from nunchi.server.flags import ServerFlags
from nunchi.server.retention import UNBOUNDED_MS, database_settings, retention_text
from nunchi.server.settings import parse_configuration
from nunchi.server.storage_settings import TsdbSettings
from nunchi.server.wiring import build_server
from nunchi.server.world import World
from nunchi.tsdb.maintenance import Maintenance

DAY_MS = 24 * 3600 * 1000
GIB = 1 << 30
SIZED = ServerFlags(storage_tsdb_retention_size_bytes=GIB)
TIMED = ServerFlags(storage_tsdb_retention_time_ms=3 * DAY_MS)


def tsdb(text: str) -> TsdbSettings:
    return parse_configuration(f"storage: {{tsdb: {{{text}}}}}", Path("p.yml"), {}).settings.storage.tsdb


@pytest.mark.parametrize(
    ("flags", "file", "retention_ms", "retention_bytes", "text"),
    [
        (ServerFlags(), "", 15 * DAY_MS, 0, "15d"),
        (TIMED, "", 3 * DAY_MS, 0, "3d"),
        (SIZED, "", UNBOUNDED_MS, GIB, "1GiB"),
        (TIMED, "retention: {time: 30d}", 30 * DAY_MS, 0, "30d"),
        (SIZED, "retention: {size: 512MB}", UNBOUNDED_MS, GIB // 2, "512MiB"),
        (TIMED, "retention: {size: 2GB}", 3 * DAY_MS, 2 * GIB, "3d or 2GiB"),
    ],
)
def test_the_file_wins_over_flags_and_a_size_alone_does_not_bound_time(
    flags: ServerFlags, file: str, retention_ms: int, retention_bytes: int, text: str
) -> None:
    settings = database_settings(flags, tsdb(file))
    assert (settings.retention_ms, settings.retention_bytes) == (retention_ms, retention_bytes)
    assert retention_text(settings) == text


def test_the_late_window_and_the_compression_of_the_log_arrive() -> None:
    flags = ServerFlags(storage_tsdb_wal_compression=False)
    settings = database_settings(flags, tsdb("out_of_order_time_window: 1h"))
    assert (settings.late_max_ms, settings.wal_compressed) == (3600 * 1000, False)


def test_flags_are_typed_as_in_prometheus() -> None:
    typed: list[dict[str, object]] = []

    @click.command()
    @with_server_flags
    def command(**options: object) -> None:
        typed.append(options)

    CliRunner().invoke(command, ["--storage.tsdb.retention.size=512MB", "--no-storage.tsdb.wal-compression"])
    [options] = typed
    assert options["storage_tsdb_retention_size_bytes"] == GIB // 2
    assert options["storage_tsdb_wal_compression"] is False
    refused = CliRunner().invoke(command, ["--storage.tsdb.retention.size=100"])
    assert (refused.exit_code, "write a number and a unit" in refused.output) == (2, True)
    assert ServerFlags(storage_tsdb_retention_size_bytes=GIB).shown()["storage.tsdb.retention.size"] == "1GiB"


def test_only_what_has_no_effect_is_remarked_on() -> None:
    text = "storage: {tsdb: {retention: {time: 1d, size: 1GB, %s}}}"
    assert parse_configuration(text % "", Path("p.yml"), {}).remarks() == []
    [remark] = parse_configuration(text % "percentage: 5", Path("p.yml"), {}).remarks()
    assert "percentage has no effect" in remark


async def test_a_reload_changes_what_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text("")
    flags = ServerFlags(config_file=file, storage_tsdb_path=tmp_path / "data", web_listen_address="127.0.0.1:0")
    server = build_server(flags, ConfigurationLoader(file, None, {}), World())
    [database] = [part._database for part in server._parts.takers if isinstance(part, Maintenance)]
    await server.start()
    try:
        assert server._parts.status.runtime().storage_retention == "15d"
        file.write_text("storage: {tsdb: {retention: {time: 1d, size: 1GB}, out_of_order_time_window: 10m}}")
        await server.reload()
        assert server._parts.status.runtime().storage_retention == "1d or 1GiB"
        kept = database._state.settings
        assert (kept.retention_ms, kept.retention_bytes, kept.late_max_ms) == (DAY_MS, GIB, 600_000)
    finally:
        await server.stop()
