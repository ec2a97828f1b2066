"""Frozen hosts: a tree of /proc, /sys, root file system and udev data in one text file, unpacked where a test wants it.

A file begins with `-- path --` on a line of its own and ends before the next such line.
"""

import contextlib
import re
from pathlib import Path

from nunchi.agent.check import Check, Context
from nunchi.agent.checks import CHECKS
from nunchi.agent.emission import Emission
from nunchi.agent.errors import Unavailable
from nunchi.agent.root import Root
from nunchi.kit.clock import Clock, SystemClock
from nunchi.kit.logs import logger
from nunchi.model.labels import quote

TREES = Path(__file__).parent / "trees"
CASES = sorted(folder.name for folder in TREES.iterdir())
HEADING = re.compile(r"^-- (.+) --$\n", re.MULTILINE)

Series = tuple[str, tuple[tuple[str, str], ...]]


def unpack(case: str, folder: Path) -> Root:
    """The host of a case, below `folder`."""
    _, *parts = HEADING.split((TREES / case / "tree.txt").read_text())
    for path, text in zip(parts[::2], parts[1::2], strict=True):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in ("proc", "sys", "rootfs", "udev"):
        (folder / name).mkdir(exist_ok=True)
    return Root(*(str(folder / name) for name in ("proc", "sys", "rootfs", "udev")))


def measure(check: Check, root: Root, clock: Clock | None = None) -> Emission:
    """What one run of a check emits; what the host does not have is no failure here."""
    emission = Emission()
    with contextlib.suppress(Unavailable):
        check.run(Context(emission, clock or SystemClock(), root, logger("test")))
    return emission


def is_of_the_running_kernel(series: Series) -> bool:
    """Whether a sample comes from a system call, whatever the tree says."""
    name, labels = series
    is_mounted = name.startswith("node_filesystem") and ("device_error", "no such file or directory") not in labels
    return name.startswith(("node_timex", "node_uname", "node_time_seconds", "node_time_zone")) or (
        is_mounted
        and name not in {"node_filesystem_device_error", "node_filesystem_readonly", "node_filesystem_mount_info"}
    )


def measure_all(root: Root) -> tuple[dict[Series, float], dict[str, str]]:
    """The samples of all checks with their default settings, and the types as text expositions spell them."""
    samples: dict[Series, float] = {}
    types: dict[str, str] = {}
    for check_type in CHECKS:
        if not check_type.is_default:
            continue
        emission = measure(check_type(check_type.settings_type()), root)
        for name, labels, value in emission.samples:
            series = (name, tuple(sorted(pair for pair in labels if pair[1])))
            assert series not in samples, series
            samples[series] = value
        types.update(
            {name: "untyped" if kind.value == "unknown" else kind.value for name, kind in emission.types.items()}
        )
    return samples, types


SAMPLE = re.compile(r"([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
UNESCAPE = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def parse_text(text: str) -> tuple[dict[Series, float], dict[str, str]]:
    """Samples and types of a text exposition; empty labels are left out. Slow and obvious."""
    samples: dict[Series, float] = {}
    types: dict[str, str] = {}
    for line in text.split("\n"):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        elif line and not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            pairs = [
                (name, re.sub(r"\\.", lambda found: UNESCAPE[found[0]], value))
                for name, value in LABEL.findall(match[2] or "")
            ]
            samples[match[1], tuple(sorted(pair for pair in pairs if pair[1]))] = float(match[3])
    return samples, types


def format_text(samples: dict[Series, float], types: dict[str, str]) -> str:
    """A text exposition, sorted: what the `expected.prom` beside a tree holds."""
    lines: list[str] = []
    shown = ""
    for (name, labels), value in sorted(samples.items()):
        if name != shown:
            lines.append(f"# TYPE {name} {types[name]}")
            shown = name
        inner = ",".join(f"{label}={quote(text)}" for label, text in labels)
        lines.append(f"{name}{{{inner}}} {value!r}" if inner else f"{name} {value!r}")
    return "\n".join(lines) + "\n"
