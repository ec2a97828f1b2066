"""Label sets: who a series is. Sorted by name, without empty values, hashable; needs nothing beyond the standard library.

A label set has two forms: `Labels`, for what people see, and its *label key*, the bytes under which layouts and stores
know a series: `name 0xff value 0xff …` in the order of the names. 0xff stands in no UTF-8 text, so keys are unambiguous.
"""

from collections.abc import Iterable, Iterator, Mapping

METRIC_NAME = "__name__"
SEPARATOR = b"\xff"


class Labels(Mapping[str, str]):
    """An immutable label set. An empty value means absence and is left out."""

    __slots__ = ("_hash", "pairs")

    pairs: tuple[tuple[str, str], ...]

    def __init__(self, pairs: Iterable[tuple[str, str]] | Mapping[str, str] = ()) -> None:
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        self.pairs = tuple(sorted((name, value) for name, value in items if value))
        self._hash: int | None = None
        for (name, _), (following, _) in zip(self.pairs, self.pairs[1:], strict=False):
            if name == following:
                raise ValueError(f"label {name!r} is given twice")

    @classmethod
    def of(cls, metric_name: str = "", /, **labels: str) -> "Labels":
        """Labels from words: `Labels.of("up", job="node")`."""
        return cls({METRIC_NAME: metric_name, **labels})

    @classmethod
    def from_key(cls, key: bytes) -> "Labels":
        """The label set of a label key."""
        words = [part.decode() for part in key.split(SEPARATOR)[:-1]]
        labels = cls.__new__(cls)
        labels.pairs = tuple(zip(words[::2], words[1::2], strict=True))
        labels._hash = None  # noqa: SLF001 (a constructor of this class)
        return labels

    def key(self) -> bytes:
        """The label key: see the module's docstring."""
        if not self.pairs:
            return b""
        return SEPARATOR.join(word.encode() for pair in self.pairs for word in pair) + SEPARATOR

    @property
    def metric_name(self) -> str:
        """The value of `__name__`, empty where there is none."""
        return self.get(METRIC_NAME, "")

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        """The value of a label; absent labels read as the empty string, as in PromQL."""
        for key, value in self.pairs:
            if key == name:
                return value
        return default

    def merge(self, changes: Mapping[str, str]) -> "Labels":
        """These labels with others set over them; an empty value removes the label."""
        return Labels({**dict(self.pairs), **changes})

    def drop(self, *names: str) -> "Labels":
        """These labels without the ones named."""
        return Labels(pair for pair in self.pairs if pair[0] not in names)

    def keep(self, *names: str) -> "Labels":
        """Only the labels named."""
        return Labels(pair for pair in self.pairs if pair[0] in names)

    def __getitem__(self, name: str) -> str:
        for key, value in self.pairs:
            if key == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        return self.pairs == other.pairs if isinstance(other, Labels) else NotImplemented

    def __lt__(self, other: "Labels") -> bool:
        return self.pairs < other.pairs

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.pairs)
        return self._hash

    def __repr__(self) -> str:
        return f"Labels({self})"

    def __str__(self) -> str:
        """As PromQL writes a series: `up{job="node"}`."""
        inner = ", ".join(f"{name}={quote(value)}" for name, value in self.pairs if name != METRIC_NAME)
        return f"{self.metric_name}{{{inner}}}" if inner or not self.metric_name else self.metric_name


def quote(text: str) -> str:
    """A double-quoted string as PromQL and the expositions read it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
