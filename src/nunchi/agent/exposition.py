"""Reading expositions in the agent: text 0.0.4, and what of OpenMetrics is written the same way. Slow beside the server's
reader, and free of arrays; it reads one local exporter or a file.

Invariant: a text is read whole or refused with its line; timestamps in it are passed over.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from nunchi.agent.emission import Emission
from nunchi.model.metadata import MetricType

SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(?P<labels>(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*)\}\s*|\s)\s*(?P<value>[^\s#]+)"
    r"(?:\s+[^\s#]+)?(?:\s+#.*)?"
)
LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
ESCAPED = re.compile(r"\\(.)")
ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}
TYPES = {kind.value: kind for kind in MetricType} | {"untyped": MetricType.UNKNOWN}
SAMPLES_MAX = 20_000


@dataclass(frozen=True, slots=True)
class ExposedSample:
    """One line."""

    name: str
    labels: Mapping[str, str]
    value: float


def read_exposition(text: str, types: dict[str, MetricType], samples_max: int = SAMPLES_MAX) -> Iterator[ExposedSample]:
    """The samples of a text; the types it declares are put into `types`. ValueError that names the line of what is none."""
    count = 0
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()  # noqa: PLW2901 - the same line without its blanks
        if not line:
            continue
        if line.startswith("#"):
            words = line.split(None, 3)
            if len(words) == 4 and words[1] == "TYPE":
                types[words[2]] = TYPES.get(words[3].strip(), MetricType.UNKNOWN)
            continue
        count += 1
        if count > samples_max:
            raise ValueError(f"line {number}: more than {samples_max} samples")
        yield read_sample(line, number)


def read_sample(line: str, number: int) -> ExposedSample:
    """One line that is no comment."""
    match = SAMPLE.fullmatch(line)
    if match is None:
        raise ValueError(f"line {number}: not a sample: {line[:80]!r}")
    text = match["value"]
    try:
        value = float(text.replace("_", "x"))  # Python alone would read 1_000
    except ValueError:
        raise ValueError(f"line {number}: {text[:40]!r} is not a number") from None
    return ExposedSample(match["name"], read_labels(match["labels"] or "", number), value)


def read_labels(text: str, number: int) -> dict[str, str]:
    """The pairs between braces."""
    labels: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip()):
        match = LABEL.match(text, at)
        if match is None:
            raise ValueError(f"line {number}: not labels: {text[at : at + 80]!r}")
        value = match[2]
        labels[match[1]] = ESCAPED.sub(lambda found: ESCAPES.get(found[1], found[0]), value) if "\\" in value else value
        at = match.end()
    return labels


def family_of(name: str, types: Mapping[str, MetricType]) -> str:
    """The declared family a sample is of; its own name where none is."""
    if name in types:
        return name
    for suffix in ("_bucket", "_count", "_sum", "_total", "_info", "_created"):
        base = name.removesuffix(suffix)
        if base != name and base in types:
            return base
    return name


def forward_exposition(
    emit: Emission,
    text: str,
    accepts: Callable[[str], bool] = lambda _: True,
    samples_max: int = SAMPLES_MAX,
    labels: Mapping[str, str] | None = None,
) -> int:
    """Emit the samples of a text whose names are accepted, with these labels added. Returns how many there were."""
    types: dict[str, MetricType] = {}
    samples = list(read_exposition(text, types, samples_max))
    for sample in samples:
        if accepts(sample.name):
            family = family_of(sample.name, types)
            kind = types.get(family, MetricType.UNKNOWN)
            own = {**sample.labels, **labels} if labels else sample.labels
            if kind in (MetricType.HISTOGRAM, MetricType.SUMMARY, MetricType.GAUGE_HISTOGRAM):
                emit.types[family] = kind
                emit.sample(sample.name, sample.value, own)
            else:
                emit.add(kind, sample.name, sample.value, own)
    return len(samples)
