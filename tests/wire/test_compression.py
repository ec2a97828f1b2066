import contextlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.wire.compression import Encoding, decode, encode
from nunchi.wire.errors import BodyTooLarge, WireError

COMPRESSED = [encoding for encoding in Encoding if encoding is not Encoding.IDENTITY]
MIB = 1024 * 1024


@given(encoding=st.sampled_from(Encoding), body=st.binary(max_size=5000))
def test_what_was_encoded_decodes_to_itself(encoding: Encoding, body: bytes) -> None:
    assert decode(encoding, encode(encoding, body), len(body)) == body


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("size", [1, 1000, 65536, 65537, 3 * MIB])
def test_the_bound_is_exact(encoding: Encoding, size: int) -> None:
    encoded = encode(encoding, b"x" * size)
    assert decode(encoding, encoded, size) == b"x" * size
    with pytest.raises(BodyTooLarge, match=f"{encoding.value} body is larger than the {size - 1} bytes allowed"):
        decode(encoding, encoded, size - 1)


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_a_bomb_is_refused_by_its_size(encoding: Encoding) -> None:
    bomb = encode(encoding, bytes(64 * MIB))
    with pytest.raises(BodyTooLarge):
        decode(encoding, bomb, MIB)


def test_a_snappy_size_that_lies_upwards_allocates_nothing_and_downwards_fails() -> None:
    four_gigabytes = b"\xff\xff\xff\xff\x0f"
    with pytest.raises(BodyTooLarge):
        decode("snappy", four_gigabytes + b"abc", 32 * MIB)
    truthful = encode("snappy", b"a" * 100)
    assert truthful[0] == 100
    for lie in (99, 101):
        with pytest.raises(WireError):
            decode("snappy", bytes([lie]) + truthful[1:], MIB)


@given(encoding=st.sampled_from(COMPRESSED), body=st.binary(min_size=1, max_size=300), data=st.data())
def test_a_truncated_body_is_an_error(encoding: Encoding, body: bytes, data: st.DataObject) -> None:
    encoded = encode(encoding, body)
    length = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(WireError):
        decode(encoding, encoded[:length], MIB)


@given(encoding=st.sampled_from(COMPRESSED), body=st.binary(max_size=300))
def test_random_bytes_decode_within_the_bound_or_fail(encoding: Encoding, body: bytes) -> None:
    with contextlib.suppress(WireError):
        assert len(decode(encoding, body, 1000)) <= 1000


@given(encoding=st.sampled_from(COMPRESSED), body=st.binary(min_size=1, max_size=300), data=st.data())
def test_a_damaged_body_never_exceeds_the_bound(encoding: Encoding, body: bytes, data: st.DataObject) -> None:
    encoded = bytearray(encode(encoding, body))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(WireError):
        assert len(decode(encoding, bytes(encoded), 400)) <= 400


def test_several_frames_are_one_body() -> None:
    two = bytes(cramjam.gzip.compress(b"one ")) + bytes(cramjam.gzip.compress(b"two"))
    assert decode("gzip", two, 100) == b"one two"


def test_headers_name_encodings_as_http_does() -> None:
    assert Encoding.of_header(None) is Encoding.IDENTITY
    assert Encoding.of_header(" X-GZIP ") is Encoding.GZIP
    with pytest.raises(WireError, match="'br' is not known; send one of identity, snappy"):
        Encoding.of_header("br")
