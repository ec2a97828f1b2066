"""The agent's key: how it gets one with a join token, keeps it, and changes it for the next.

A key is written down before it is used, and the earlier one opens until then, so that a crash at any moment leaves one
that does. Invariant: keys are in one file of mode 0600, and nowhere in logs, status or metrics.
"""

from contextlib import suppress
from pathlib import Path

import msgspec

from nunchi.agent.errors import JoinRefusedError
from nunchi.agent.identity import ID, ID_FILE, ID_FILE_MODE
from nunchi.agent.server_link import HttpLink, ServerLink
from nunchi.kit.disk import Disk, DiskError, DiskMissing
from nunchi.kit.errors import InputError
from nunchi.kit.http_client import HttpClientError
from nunchi.kit.listen_address import is_loopback
from nunchi.kit.logs import Logger
from nunchi.kit.secrets import Secret, Url

KEY_FILE = "agent-key"
KEY_FILE_MODE = 0o600
JOIN_PATH, CHANGE_PATH = "/api/nunchi/v1/agents/join", "/api/nunchi/v1/agents/key"
ANSWER_BYTES_MAX = 64 << 10
WORDS_CHARACTERS_MAX = 200


class Joined(msgspec.Struct, frozen=True):
    """What a server says to who joins."""

    id: str
    name: str
    key: str


class Changed(msgspec.Struct, frozen=True):
    """The next key."""

    key: str


class Refused(msgspec.Struct, frozen=True):
    """Why not."""

    error: str


def load_key(state_folder: Path, disk: Disk, log: Logger) -> Secret:
    """The key in the state folder; empty where the agent never joined."""
    try:
        return Secret(disk.read(state_folder / KEY_FILE).decode(errors="replace").strip())
    except DiskMissing:
        return Secret("")
    except DiskError as error:
        log.error("the agent's key cannot be read: it delivers without", error=error)
        return Secret("")


async def join(link: ServerLink, token: str, agent_id: str, name: str, state_folder: Path, disk: Disk) -> Joined:
    """Join by a token and keep id and key. Raises JoinRefusedError, HttpClientError or DiskError."""
    url = Url.parse(link.url)
    if url.scheme != "https" and not (url.host == "localhost" or is_loopback(url.host)):
        raise InputError(f"{url} is not encrypted: a key is not sent in the clear; use https://")
    disk.make_folder(state_folder)
    body = msgspec.json.encode({"token": token, "id": agent_id, "name": name})
    response = await link.request("POST", JOIN_PATH, body, "application/json", body_bytes_max=ANSWER_BYTES_MAX)
    if response.status != 200:
        words = _words_of(response.body)
        raise JoinRefusedError(f"{link.url} answers {response.status}: {words}")
    try:
        joined = msgspec.json.decode(response.body, type=Joined)
    except msgspec.MsgspecError as error:
        raise JoinRefusedError(f"{link.url} answers what is not understood: {error}") from error
    if ID.fullmatch(joined.id):
        disk.write_atomically(state_folder / ID_FILE, f"{joined.id}\n".encode(), ID_FILE_MODE)
    disk.write_atomically(state_folder / KEY_FILE, f"{joined.key}\n".encode(), KEY_FILE_MODE)
    return joined


def _words_of(body: bytes) -> str:
    """Why a server refuses: its `error`, else the beginning of what it says."""
    with suppress(msgspec.MsgspecError):
        return msgspec.json.decode(body, type=Refused).error[:WORDS_CHARACTERS_MAX]
    return body.decode(errors="replace").strip()[:WORDS_CHARACTERS_MAX]


class KeyChange:
    """Changes the key when the server asks for it."""

    def __init__(self, link: HttpLink, state_folder: Path, disk: Disk, log: Logger) -> None:
        self._link = link
        self._path = state_folder / KEY_FILE
        self._disk = disk
        self._log = log

    async def change(self) -> None:
        """Fetch the next key, keep it, use it. What fails is tried again when the server asks again."""
        if not self._link.key:
            return
        try:
            response = await self._link.request("POST", CHANGE_PATH, body_bytes_max=ANSWER_BYTES_MAX)
            if response.status != 200:
                self._log.warning("the server asks for another key and gives none", status=response.status)
                return
            key = msgspec.json.decode(response.body, type=Changed).key
            self._disk.write_atomically(self._path, f"{key}\n".encode(), KEY_FILE_MODE)
        except (HttpClientError, DiskError, msgspec.MsgspecError) as error:
            self._log.warning("the key could not be changed: the earlier one is used", error=error)
            return
        self._link.key = Secret(key)
        self._log.info("the key was changed")
