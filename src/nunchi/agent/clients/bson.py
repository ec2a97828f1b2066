"""BSON (bsonspec.org 1.1), as far as asking a MongoDB server for facts needs: documents in, documents out.

Invariant: whatever bytes come, the result is a document or ValueError; depth and size are bounded.
"""

import struct
from collections.abc import Mapping
from typing import Any

DEPTH_MAX = 32
ELEMENTS_MAX = 200_000
DOUBLE, TEXT, DOCUMENT, ARRAY, BINARY, OBJECT_ID, BOOLEAN, DATE, NULL = 1, 2, 3, 4, 5, 7, 8, 9, 10
REGEX, CODE, INT32, TIMESTAMP, INT64, DECIMAL = 11, 13, 16, 17, 18, 19
FIXED = {DOUBLE: "<d", INT32: "<i", INT64: "<q", TIMESTAMP: "<Q", DATE: "<q"}
WITHOUT_VALUE = frozenset({NULL, 6, 127, 255})  # null, undefined, the greatest and the least key


def encode_document(document: Mapping[str, Any]) -> bytes:
    """A document of texts, integers, bytes, truth values, lists and documents."""
    parts = [encode_element(name, value) for name, value in document.items()]
    body = b"".join(parts) + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def encode_element(name: str, value: Any) -> bytes:
    """One field; TypeError for what we never send."""
    key = name.encode() + b"\0"
    if isinstance(value, bool):
        return bytes([BOOLEAN]) + key + bytes([value])
    if isinstance(value, int):
        return bytes([INT32]) + key + struct.pack("<i", value)
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return bytes([TEXT]) + key + struct.pack("<i", len(text)) + text
    if isinstance(value, bytes):
        return bytes([BINARY]) + key + struct.pack("<iB", len(value), 0) + value
    if isinstance(value, list):
        return bytes([ARRAY]) + key + encode_document({str(index): item for index, item in enumerate(value)})
    if isinstance(value, Mapping):
        return bytes([DOCUMENT]) + key + encode_document(value)
    raise TypeError(f"{type(value).__name__} is not sent")


def decode_document(content: bytes) -> dict[str, Any]:
    """ValueError for what is not a document. Times are milliseconds; what is neither number, text nor document is None."""
    try:
        document, end = _Decoder(content).document(0, 0)
    except (struct.error, IndexError) as error:
        raise ValueError("a BSON document ends too early") from error
    if end > len(content):
        raise ValueError("a BSON document ends too early")
    return document


class _Decoder:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._elements = 0

    def document(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        """A document that begins here, and where it ends."""
        (length,) = struct.unpack_from("<i", self._content, at)
        end = at + length
        if depth > DEPTH_MAX or length < 5 or end > len(self._content):
            raise ValueError("a BSON document is longer or deeper than may be")
        found: dict[str, Any] = {}
        at += 4
        while self._content[at]:
            self._elements += 1
            if self._elements > ELEMENTS_MAX:
                raise ValueError("a BSON document has too many elements")
            kind = self._content[at]
            name, at = self._name(at + 1)
            found[name], at = self._value(kind, at, depth)
        return found, end

    def _name(self, at: int) -> tuple[str, int]:
        end = self._content.index(b"\0", at)
        return self._content[at:end].decode(errors="replace"), end + 1

    def _value(self, kind: int, at: int, depth: int) -> tuple[Any, int]:
        if kind in FIXED:
            form = FIXED[kind]
            return struct.unpack_from(form, self._content, at)[0], at + struct.calcsize(form)
        if kind in (DOCUMENT, ARRAY):
            found, end = self.document(at, depth + 1)
            return (list(found.values()) if kind == ARRAY else found), end
        if kind == BOOLEAN:
            return bool(self._content[at]), at + 1
        if kind in WITHOUT_VALUE:
            return None, at
        if kind in (OBJECT_ID, DECIMAL):
            return None, at + (12 if kind == OBJECT_ID else 16)
        if kind == REGEX:
            return None, self._name(self._name(at)[1])[1]
        if kind in (TEXT, CODE, BINARY):
            (length,) = struct.unpack_from("<i", self._content, at)
            if not 0 <= length <= len(self._content):
                raise ValueError("a BSON text is longer than its document")
            at += 5 if kind == BINARY else 4
            content = self._content[at : at + length]
            return (content if kind == BINARY else content[:-1].decode(errors="replace")), at + length
        raise ValueError(f"BSON type {kind} is not known")
