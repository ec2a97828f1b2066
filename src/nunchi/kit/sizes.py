"""Amounts of bytes as Prometheus's configuration writes them: `512MB`, `1.5GiB`, `0`. All units are powers of 1024.

Invariant: a number without a unit is refused, unless it is 0: nobody should have to guess what 100 means.
"""

import re
from dataclasses import dataclass

_POWERS = {letter: power for power, letter in enumerate(("", "K", "M", "G", "T", "P", "E"))}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([KMGTPE])i?)?B")
SIZE_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """An amount of bytes in settings; `str()` writes it exactly, as Prometheus does (`1GiB512MiB`)."""

    bytes: int

    @classmethod
    def parse(cls, text: str) -> "Size":
        """The size that `text` means; raises ValueError with a sentence fit for whoever wrote it."""
        if text == "0":
            return cls(0)
        parts = list(_PART.finditer(text))
        if not parts or "".join(part[0] for part in parts) != text:
            raise ValueError(f'"{text}" is not a size: write a number and a unit, as in 512MB or 1GB')
        total = sum(float(part[1]) * 1024 ** _POWERS[part[2] or ""] for part in parts)
        if total > SIZE_MAX:
            raise ValueError(f'"{text}" is too large a size: 8EB is the most')
        return cls(int(total))

    def __bool__(self) -> bool:
        return self.bytes != 0

    def __str__(self) -> str:
        if not self.bytes:
            return "0"
        parts, rest = [], self.bytes
        for letter, power in reversed(_POWERS.items()):
            count, rest = divmod(rest, 1024**power)
            if count:
                parts.append(f"{count}{letter}iB" if letter else f"{count}B")
        return "".join(parts)

    def rounded(self) -> str:
        """For people: `1.5 GiB`."""
        for letter, power in reversed(_POWERS.items()):
            if letter and self.bytes >= 1024**power:
                return f"{self.bytes / 1024**power:.1f} {letter}iB"
        return f"{self.bytes} bytes"
