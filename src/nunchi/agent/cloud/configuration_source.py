"""Where the cloud configuration comes from: posted to the agent's API, else fetched from the server, else the last good one.

The server is asked what has changed, and answers when something has; one that does not know how to wait is asked every few
seconds. Whoever posts a configuration takes the agent out of the server's hands until it is deleted again.
Invariant: what was in force stays in force until another valid configuration takes its place: a server that cannot be reached,
or sends what is broken, stops nothing. What is in force is on disk before its clippers start.
"""

import asyncio
from pathlib import Path
from random import Random
from urllib.parse import quote

import msgspec

from nunchi.agent.cloud.clip_manager import ClipManager
from nunchi.agent.identity import Identity
from nunchi.agent.server_link import ServerLink
from nunchi.kit.backoff import Backoff
from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk, DiskError, DiskMissing
from nunchi.kit.errors import InputError
from nunchi.kit.http_client import HttpClientError, Response
from nunchi.kit.logs import Logger
from nunchi.kit.waiting import wait_event
from nunchi.wire.cloud_configuration import CloudConfiguration, parse_cloud_configuration
from nunchi.wire.cloud_exchange import CONFIGURATION_PATH, WAIT_SECONDS_MAX, HandedConfiguration

FILE = "cloud-configuration.json"
FILE_MODE = 0o600
ANSWER_BYTES_MAX = 4 << 20
INTERVAL_SECONDS = 5.0  # between two questions to a server that does not wait
PAUSE_SECONDS = 0.5  # after an answer that changed something
PROMPT_SECONDS = 1.0  # who answers faster that nothing has changed has not waited
RETRY_INITIAL_SECONDS, RETRY_SECONDS_MAX = 2.0, 20.0
FROM_API, FROM_SERVER, NOWHERE = "api", "server", ""


class Kept(msgspec.Struct, frozen=True):
    """The file on disk."""

    origin: str
    version: str
    text: str


class ConfigurationSource:
    """A part. Without a `link`, or while not `is_asking`, nobody is asked."""

    name = "agent.cloud.configuration"

    def __init__(
        self,
        manager: ClipManager,
        link: ServerLink | None,
        identity: Identity,
        state_folder: Path,
        disk: Disk,
        clock: Clock,
        random: Random,
        log: Logger,
    ) -> None:
        self._manager = manager
        self._link = link
        self._identity = identity
        self._path = state_folder / FILE
        self._disk = disk
        self._clock = clock
        self._backoff = Backoff(RETRY_INITIAL_SECONDS, RETRY_SECONDS_MAX, random)
        self._log = log
        self._lock = asyncio.Lock()
        self._is_asking = True
        self._turned = asyncio.Event()  # what is in force, or who is asked, has changed here
        self.kept = Kept(NOWHERE, "", "")
        self.last_error = ""
        self.changed_at_ms = 0

    @property
    def is_asking(self) -> bool:
        """Whether the server is asked, where nothing was posted."""
        return self._is_asking

    @is_asking.setter
    def is_asking(self, is_asking: bool) -> None:
        self._is_asking = is_asking
        self._turned.set()

    async def start(self) -> None:
        """Begin with the last good configuration."""
        try:
            kept = msgspec.json.decode(self._disk.read(self._path), type=Kept)
            await self._manager.apply(read_configuration(kept.text, str(self._path)))
        except DiskMissing:
            self._log.info("no cloud configuration yet: clippers wait for one")
        except (DiskError, msgspec.MsgspecError, InputError) as error:
            self._log.warning("the last cloud configuration cannot be used: clippers wait for one", error=error)
        else:
            self.kept, self.changed_at_ms = kept, self._clock.now_ms()

    async def run(self) -> None:
        """Ask the server until cancelled."""
        while self._link is not None:
            if not self._is_servers:
                await self._turned.wait()
                self._turned.clear()
                continue
            before, asked_at = self.kept, self._clock.monotonic()
            problem = await self._ask(self._link)
            if problem is None:
                continue
            if problem and problem != self.last_error:
                self._log.warning("no cloud configuration from the server; what is in force stays", reason=problem)
            self.last_error = problem
            if problem:
                pause_seconds = self._backoff.next()
            else:
                self._backoff.reset()
                has_waited = self._clock.monotonic() - asked_at >= PROMPT_SECONDS
                pause_seconds = PAUSE_SECONDS if has_waited or self.kept is not before else INTERVAL_SECONDS
            await wait_event(self._turned, pause_seconds, self._clock)

    async def stop(self) -> None:
        """Nothing to give back."""

    async def put(self, text: str) -> None:
        """Take a configuration from the API. Raises InputError where it is broken, and then nothing has changed."""
        configuration = parse_cloud_configuration(text, "cloud configuration")
        await self._take(Kept(FROM_API, "", text), configuration)
        self._turned.set()

    async def forget(self) -> None:
        """Drop what was posted: wait for the server's."""
        async with self._lock:
            self.kept, self.changed_at_ms = Kept(NOWHERE, "", ""), self._clock.now_ms()
            try:
                self._disk.remove(self._path)
            except DiskMissing:
                pass
            except DiskError as error:
                self._log.warning("the cloud configuration stays on disk", error=error)
            await self._manager.apply(None)
        self._turned.set()

    @property
    def _is_servers(self) -> bool:
        """Whether it is the server's word that counts."""
        return self._is_asking and self.kept.origin != FROM_API

    async def _ask(self, link: ServerLink) -> str | None:
        """Ask the server once; what went wrong, None where the question was overtaken by what happened here."""
        self._turned.clear()
        own = self._identity
        version = self.kept.version if self.kept.origin == FROM_SERVER else ""
        who = f"agent={quote(own.id)}&name={quote(own.name, safe='')}"
        path = f"{CONFIGURATION_PATH}?{who}&version={quote(version)}&wait={WAIT_SECONDS_MAX:g}"
        try:
            response = await self._request_until_turned(link, path)
        except HttpClientError as error:
            return str(error)
        if response is None:
            return None
        if response.status == 304:
            return ""
        if response.status != 200:
            return f"{response.url} answers {response.status}"
        try:
            handed = msgspec.json.decode(response.body, type=HandedConfiguration)
            configuration = read_configuration(handed.text, "cloud configuration of the server")
        except (msgspec.MsgspecError, InputError) as error:
            return str(error)
        await self._take(Kept(FROM_SERVER, handed.version, handed.text), configuration)
        return ""

    async def _request_until_turned(self, link: ServerLink, path: str) -> Response | None:
        """The answer; None where it does not matter any more. Raises HttpClientError."""
        request = link.request("GET", path, body_bytes_max=ANSWER_BYTES_MAX, wait_seconds=WAIT_SECONDS_MAX)
        asking, turned = asyncio.ensure_future(request), asyncio.ensure_future(self._turned.wait())
        try:
            await asyncio.wait((asking, turned), return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        finally:
            asking.cancel()
            turned.cancel()

    async def _take(self, kept: Kept, configuration: CloudConfiguration | None) -> None:
        async with self._lock:
            if kept.origin == FROM_SERVER and not self._is_servers:
                return  # another was posted while the server answered
            try:
                self._disk.make_folder(self._path.parent)
                self._disk.write_atomically(self._path, msgspec.json.encode(kept), FILE_MODE)
            except DiskError as error:
                self._log.warning("the cloud configuration cannot be kept for the next start", error=error)
            self.kept, self.changed_at_ms = kept, self._clock.now_ms()
            await self._manager.apply(configuration)


def read_configuration(text: str, path: str) -> CloudConfiguration | None:
    """What the server hands out; an empty text says that there is none. Raises InputError."""
    return parse_cloud_configuration(text, path) if text else None
