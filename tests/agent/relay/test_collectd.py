"""A real collectd hands its values over with write_http."""

import asyncio
import ctypes.util
import shutil
from pathlib import Path

import pytest
from tests.agent.relay.relaying import TOKEN, relaying, until

SETTINGS = """
Interval 1
Hostname "peer-1"
BaseDir "{folder}"
PIDFile "{folder}/pid"
LoadPlugin load
LoadPlugin memory
LoadPlugin write_http
<Plugin write_http>
  <Node "relay">
    URL "{url}/api/v1/collectd"
    Format "JSON"
    User "billing"
    Password "{token}"
    BufferSize 4096
  </Node>
</Plugin>
"""


@pytest.mark.peer
async def test_collectd_is_taken_with_its_own_names(tmp_path: Path) -> None:
    program = shutil.which("collectd", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("collectd is not installed: apt-get install collectd-core")
    library = ctypes.util.find_library("yajl")
    if library is None:
        pytest.skip("collectd's write_http lacks its library: apt-get install libyajl2")
    async with relaying(tmp_path, "http://127.0.0.1:9", series_max=100) as relay:
        (tmp_path / "collectd.conf").write_text(SETTINGS.format(folder=tmp_path, url=relay.url, token=TOKEN))
        process = await asyncio.create_subprocess_exec(
            program,
            "-f",
            "-C",
            str(tmp_path / "collectd.conf"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            await until(lambda: process.returncode is not None or bool(relay.counted("agent_relay_samples_total")))
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()
        requests = relay.counted("agent_relay_requests_total")
        assert ("billing", "collectd", "taken") in requests
        assert {outcome for _, _, outcome in requests} <= {
            "taken",
            "unauthorized",
        }  # curl asks without credentials first
        assert relay.counted("agent_relay_samples_total")["billing",] >= 1
