"""Who may send packs: agents that joined, by the keys the registry keeps of them, and those listed with a key of their own.

Invariant: a revoked key, and one that was changed for the next, seals nothing that is taken.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from nunchi.intake.receive.pack_server import PackKey
from nunchi.intake.registry.agent_book import AgentBook
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import load_file
from nunchi.wire.pack_seal import pack_key


class PackKeysFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Agent id → key."""

    keys: dict[str, Secret] = {}


def load_pack_keys(path: Path | None) -> Mapping[str, Secret]:
    """The keys of a file, none where there is no file. Raises SettingsError."""
    return {} if path is None else load_file(PackKeysFile, path).keys


class BookKeys:
    """The agents of a book, newest key first, then the list: agent id → key."""

    def __init__(self, book: AgentBook | None, listed: Mapping[str, Secret]) -> None:
        self._book = book
        self._listed = {agent_id: PackKey(pack_key(key.reveal())) for agent_id, key in listed.items()}

    def keys_of(self, agent_id: str) -> Sequence[PackKey]:
        """See `PackKeys.keys_of`. Who is in the book is known by it alone."""
        if self._book is not None and self._book.is_enrolled(agent_id):
            record = self._book.find(agent_id)
            if not record.is_enabled:
                return []
            return [PackKey(bytes.fromhex(key.hash), record.name) for key in reversed(record.keys)]
        listed = self._listed.get(agent_id)
        return [] if listed is None else [listed]
