"""A whole server in this process, over a disk of the test's choice, and who talks to it over HTTP."""

import asyncio
import json
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from nunchi.kit.clock import SystemClock
from nunchi.kit.disk import Disk
from nunchi.model.labels import Labels
from nunchi.model.series_group import Layout
from nunchi.server.configuration import ConfigurationLoader
from nunchi.server.flags import ServerFlags
from nunchi.server.wiring import build_server
from nunchi.server.world import World
from nunchi.wire.compression import encode
from nunchi.wire.payload import CONTENT_TYPE, Sender
from nunchi.wire.payload_encoder import Round, encode_payload
from nunchi.wire.remote_write import encode_write_request

WRITE_HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
Samples = Mapping[Labels, Sequence[tuple[int, float]]]


class ServerHouse:
    """One life of a server; `folder` outlives it."""

    def __init__(self, folder: Path, disk: Disk, configuration: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "prometheus.yml"
        file.write_text(configuration)
        self.clock = SystemClock()
        flags = ServerFlags(config_file=file, storage_tsdb_path=folder / "data", web_listen_address="127.0.0.1:0")
        (folder / "data").mkdir(exist_ok=True)
        world = World(disk=disk, random=Random(1))
        self.server = build_server(flags, ConfigurationLoader(file, None, {}), world)
        self.session = aiohttp.ClientSession()
        self.loading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start, and go on as soon as the port is open."""
        await self.server.open()
        self.loading = asyncio.create_task(self.server.load())

    async def stop(self) -> None:
        """End properly."""
        await self.session.close()
        await self.server.stop()

    async def get(self, path: str, **parameters: object) -> tuple[int, str, Mapping[str, str]]:
        """Status, body, headers."""
        strings = {name: str(value) for name, value in parameters.items()}
        async with self.session.get(self.server.url + path, params=strings) as response:
            return response.status, await response.text(), response.headers

    async def query(self, expression: str, at_ms: int) -> Any:
        """The result of an instant query, or the whole answer where it is an error."""
        _, text, _ = await self.get("/api/v1/query", query=expression, time=at_ms / 1000)
        answer = json.loads(text)
        return answer["data"]["result"] if answer["status"] == "success" else answer

    async def write(self, samples: Samples) -> tuple[int, Mapping[str, str], str]:
        """Remote write: status, headers, body."""
        body = encode("snappy", encode_write_request([(labels, list(own)) for labels, own in samples.items()], {}))
        url = self.server.url + "/api/v1/write"
        async with self.session.post(url, data=body, headers=WRITE_HEADERS) as response:
            return response.status, response.headers, await response.text()

    async def push(self, first_sequence: int, at_ms: int, value: float) -> tuple[int, str]:
        """An agent's round of one sample."""
        layout = Layout.of(Labels.of("node_load1", job="node"))
        row = Round(at_ms, layout, array("i", [0]), array("d", [value]))
        body = encode_payload(Sender("agent-1", "web-1", "0.1", 1), first_sequence, 10_000, [row])
        url = self.server.url + "/api/v1/push"
        async with self.session.post(url, data=body, headers={"Content-Type": CONTENT_TYPE}) as response:
            return response.status, await response.text()

    async def metric(self, line_start: str) -> float:
        """A number of the server's own telemetry; 0 where there is none yet."""
        _, text, _ = await self.get("/metrics")
        lines = [line for line in text.splitlines() if line.startswith(line_start)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    async def wait(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Go on once something is so, which only the server's answers tell."""
        async with asyncio.timeout(30):
            while not await is_so():  # noqa: ASYNC110 (only HTTP tells)
                await asyncio.sleep(0.02)

    async def wait_metric(self, line_start: str, least: float) -> None:
        """Go on once a number is large enough."""

        async def is_large() -> bool:
            return await self.metric(line_start) >= least

        await self.wait(is_large)

    async def wait_stage(self, text: str) -> None:
        """Go on once loading has come to a stage."""

        async def is_there() -> bool:
            return text in (await self.get("/-/ready"))[1]

        await self.wait(is_there)
