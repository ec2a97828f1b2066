"""Bytes that datagram parsers have to bear: a kept corpus, one file a sample, and changes to them.

Folders below `corpus/` are named after their parser. What once broke a parser goes there and stays.
Make the corpus' well-formed samples anew with `python -m tests.wire.corpus`.
"""

from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st

FOLDER = Path(__file__).parent / "corpus"
SAMPLE_BYTES_MAX = 2048


def load_corpus(parser: str) -> dict[str, bytes]:
    """The samples of a parser by their names."""
    return {path.name: path.read_bytes() for path in sorted((FOLDER / parser).iterdir())}


@st.composite
def changed(draw: st.DrawFn, parser: str) -> bytes:
    """A sample, or two joined, with bytes changed, taken out, put in, or cut off."""
    samples = list(load_corpus(parser).values())
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["set", "flip", "cut", "out", "in", "join"])):
            case "set" if at < len(data):
                data[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF, draw(st.integers(0, 255))]))
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at:]
            case "out":
                del data[at : at + draw(st.integers(1, 9))]
            case "in":
                data[at:at] = draw(st.binary(max_size=9))
            case "join":
                data[at:] = draw(st.sampled_from(samples))[at:]
            case _:
                pass
    return bytes(data)


def write_corpus(samples: Mapping[str, Mapping[str, bytes]]) -> None:
    """Write samples by parser and name; what is there under other names stays."""
    for parser, found in samples.items():
        (FOLDER / parser).mkdir(parents=True, exist_ok=True)
        for name, data in found.items():
            assert len(data) <= SAMPLE_BYTES_MAX, name
            (FOLDER / parser / name).write_bytes(data)


if __name__ == "__main__":
    from tests.wire.corpus_samples import SAMPLES

    write_corpus({parser: make() for parser, make in SAMPLES.items()})
