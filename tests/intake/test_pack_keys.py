"""Whose packs are taken: agents that joined, by what the server keeps of their keys, and those listed in a file."""

import random

import pytest

from nunchi.intake.receive.pack_keys import BookKeys, load_pack_keys
from nunchi.intake.receive.pack_server import PackKey
from nunchi.intake.registry.agent_book import AgentBook
from nunchi.kit.logs import logger
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import SettingsError
from nunchi.storage.records import Records
from nunchi.wire.pack_seal import pack_key

AGENT = "a" * 32


@pytest.fixture
def book(clock, telemetry) -> AgentBook:
    records = Records(None, clock)
    records.open()
    book = AgentBook(records, clock, random.Random(1), telemetry, logger("test"))
    book.open()
    return book


def test_an_agent_that_joined_and_the_server_derive_the_same_key(book) -> None:
    token, _ = book.issue_token(60)
    owner, key = book.join(token, AGENT, "web-1")
    keys = BookKeys(book, {AGENT: Secret("listed for somebody else")})
    assert keys.keys_of(owner.agent_id) == [PackKey(pack_key(key), "web-1")]


def test_two_keys_are_taken_while_one_changes_and_none_once_revoked(book) -> None:
    token, _ = book.issue_token(60)
    owner, first = book.join(token, AGENT, "web-1")
    second = book.rotate(owner.agent_id)
    keys = BookKeys(book, {})
    assert [one.key for one in keys.keys_of(owner.agent_id)] == [pack_key(second), pack_key(first)]
    book.revoke(owner.agent_id)
    assert keys.keys_of(owner.agent_id) == []


def test_keys_of_a_file_are_for_who_never_joined(book, tmp_path) -> None:
    path = tmp_path / "keys.yml"
    path.write_text(f"keys: {{{AGENT}: secret-of-sixteen-bytes}}\n")
    keys = BookKeys(book, load_pack_keys(path))
    assert keys.keys_of(AGENT) == [PackKey(pack_key("secret-of-sixteen-bytes"))]
    assert keys.keys_of("b" * 32) == []
    assert load_pack_keys(None) == {}
    path.write_text("key: x\n")
    with pytest.raises(SettingsError):
        load_pack_keys(path)
