"""Files of named arrays, each with a checksum: runs, chunks and indexes. docs/formats/chunks.md has the bytes.

Arrays may be packed with zstd or stand raw, aligned, to be used where they are mapped. Bytes that are no arrays (pages) may
precede them. Invariant: nothing is believed before its checksum was compared.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import AppendFile, Disk, MappedFile
from nunchi.tsdb.errors import CorruptionError
from nunchi.tsdb.files import SECTIONS_VERSION, check_version

MAGIC = b"NUNCHI01"
ALIGNMENT = 8
COMPRESSION_LEVEL = 1
PACKED_BYTES_MIN = 64

# bytes of the table of contents, its crc32, format version, magic
TRAILER = struct.Struct("<QII8s")
DTYPES = frozenset({"<i4", "<i8", "<u8", "|u1", "<f8"})


class SectionsWriter:
    """Writes one file; pages first, arrays at the end, then `finish`."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._file: AppendFile = disk.open_append(path)
        if self._file.size:
            self._file.truncate(0)
        self._contents: dict[str, Any] = {}
        self._file.append(MAGIC)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.size

    def append(self, content: bytes) -> int:
        """Bytes that the caller can find again at the place returned."""
        return self._file.append(content)

    def put(self, name: str, array: NDArray[Any], *, packed: bool = False) -> None:
        """An array under a name."""
        raw = np.ascontiguousarray(array).tobytes()
        content = (
            bytes(cramjam.zstd.compress(raw, COMPRESSION_LEVEL)) if packed and len(raw) > PACKED_BYTES_MIN else raw
        )
        is_packed = len(content) < len(raw)
        content = content if is_packed else raw
        padding = -self._file.size % ALIGNMENT
        at = self._file.append(bytes(padding) + content) + padding
        self._contents[name] = [
            np.dtype(array.dtype).newbyteorder("<").str, len(raw), at, len(content), zlib.crc32(content), int(is_packed),
        ]  # fmt: skip

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write the table of contents with some facts beside it; durable on return."""
        table = json.dumps({"facts": dict(facts), "arrays": self._contents}, separators=(",", ":")).encode()
        self._file.append(table + TRAILER.pack(len(table), zlib.crc32(table), SECTIONS_VERSION, MAGIC))
        self._file.sync()
        self._file.close()

    def abandon(self) -> None:
        """Close a file that will not be finished."""
        self._file.close()


class Sections:
    """Reads one file, mapped for as long as somebody holds an array of it, also when the file is removed meanwhile."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path = path
        self._mapped: MappedFile = disk.map(path)
        self.view = self._mapped.view
        try:
            self._read_contents()
        except BaseException:
            self._mapped.close()
            raise

    def _read_contents(self) -> None:
        view = self.view
        if len(view) < TRAILER.size + len(MAGIC):
            raise CorruptionError(f"{self.path}: {len(view)} bytes are too few")
        size, checksum, version, magic = TRAILER.unpack_from(view, len(view) - TRAILER.size)
        if magic != MAGIC:
            raise CorruptionError(f"{self.path}: its end is missing")
        check_version(self.path, version, SECTIONS_VERSION)
        begin = len(view) - TRAILER.size - size
        if begin < 0 or zlib.crc32(view[begin : begin + size]) != checksum:
            raise CorruptionError(f"{self.path}: its table of contents fails its checksum")
        table = json.loads(bytes(view[begin : begin + size]))
        self.facts: dict[str, Any] = table["facts"]
        self._contents: dict[str, Any] = table["arrays"]

    def array(self, name: str) -> NDArray[Any]:
        """The array of a name; raises `CorruptionError`."""
        try:
            dtype, size, at, stored, checksum, is_packed = self._contents[name]
        except KeyError:
            raise CorruptionError(f"{self.path}: array {name!r} is missing") from None
        content = self.view[at : at + stored]
        if len(content) != stored or zlib.crc32(content) != checksum or dtype not in DTYPES:
            raise CorruptionError(f"{self.path}: array {name!r} at byte {at} fails its checksum")
        if not is_packed:
            return np.frombuffer(content, dtype)
        raw = np.empty(size, np.uint8)
        try:
            cramjam.zstd.decompress_into(content, raw.data)
        except cramjam.DecompressionError as error:
            raise CorruptionError(f"{self.path}: array {name!r} at byte {at} cannot be decompressed: {error}") from None
        return raw.view(dtype)

    def names(self) -> list[str]:
        """The names of all arrays."""
        return list(self._contents)
