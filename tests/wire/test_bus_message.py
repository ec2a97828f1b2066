"""Messages on a bus: opened by the key of their agent alone, in its topic alone, and only where they are whole."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.wire.bus_message import (
    NONCE_BYTES,
    BusAnswer,
    BusTopics,
    agent_of,
    open_answer,
    seal_answer,
    seal_payload,
    split_payload,
)
from nunchi.wire.errors import UnknownVersion, WireError
from nunchi.wire.pack_seal import SALT_BYTES, PackMode, SealError

AGENT, OTHER = "a" * 32, "b" * 32
KEY, WRONG = bytes(32), bytes(31) + b"\x01"
SALT, NONCE = bytes(range(SALT_BYTES)), bytes(range(NONCE_BYTES))
MODES = st.sampled_from(PackMode)


def test_topics_name_cluster_and_agent() -> None:
    topics = BusTopics("berlin")
    assert topics.rounds(AGENT) == f"nunchi.berlin.rounds.{AGENT}"
    assert topics.rounds() == "nunchi.berlin.rounds.*"
    assert agent_of(topics.rounds(AGENT)) == agent_of(topics.answers(AGENT)) == AGENT
    assert topics.stream == "nunchi-berlin-rounds"


@given(st.binary(max_size=300), st.text(max_size=40), MODES)
def test_a_payload_comes_out_as_it_went_in(payload: bytes, address: str, mode: PackMode) -> None:
    found = split_payload(seal_payload(payload, AGENT, address, KEY, SALT, mode))
    assert found.address == address
    assert found.open(AGENT, [WRONG, KEY]) == (payload, KEY)


@given(MODES)
def test_another_key_or_another_agents_topic_opens_nothing(mode: PackMode) -> None:
    found = split_payload(seal_payload(b"secret", AGENT, "::1", KEY, SALT, mode))
    for agent_id, keys in ((AGENT, [WRONG]), (OTHER, [KEY]), (AGENT, [])):
        with pytest.raises(SealError):
            found.open(agent_id, keys)


@given(st.data(), MODES)
def test_no_changed_bit_is_believed(data: st.DataObject, mode: PackMode) -> None:
    message = bytearray(seal_payload(b"values", AGENT, "10.0.0.1", KEY, SALT, mode))
    position = data.draw(st.integers(0, len(message) * 8 - 1))
    message[position // 8] ^= 1 << position % 8
    with pytest.raises(WireError):
        split_payload(bytes(message)).open(AGENT, [KEY])


@given(st.binary(max_size=80))
def test_any_bytes_are_a_wire_error_or_do_not_open(message: bytes) -> None:
    with pytest.raises(WireError):
        split_payload(message).open(AGENT, [KEY])
    with contextlib.suppress(WireError):
        assert open_answer(b"NA" + message, AGENT, SALT, KEY) is None


def test_encrypted_payloads_show_nothing_and_signed_ones_are_as_they_are() -> None:
    assert b"load1" not in seal_payload(b"load1 1", AGENT, "", KEY, SALT, PackMode.AEAD)
    assert b"load1" in seal_payload(b"load1 1", AGENT, "", KEY, SALT, PackMode.HMAC)


@given(MODES)
def test_answers_are_believed_of_who_has_the_key_and_for_their_message_alone(mode: PackMode) -> None:
    answer = BusAnswer(200, '{"duplicate": 3}', 2.0)
    sealed = seal_answer(answer, AGENT, SALT, NONCE, KEY, mode)
    assert open_answer(sealed, AGENT, SALT, KEY) == (answer, True)
    assert open_answer(sealed, AGENT, bytes(SALT_BYTES), KEY) is None
    for agent_id, key in ((AGENT, WRONG), (OTHER, KEY)):
        with pytest.raises(SealError):
            open_answer(sealed, agent_id, SALT, key)
    assert open_answer(seal_answer(answer, AGENT, SALT, NONCE, None, mode), AGENT, SALT, KEY) == (answer, False)


def test_a_newer_version_is_told_from_damage() -> None:
    message = bytearray(seal_payload(b"x", AGENT, "", KEY, SALT, PackMode.HMAC))
    message[2] = 9
    with pytest.raises(UnknownVersion):
        split_payload(bytes(message))
