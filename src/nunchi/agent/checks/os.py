"""Which operating system is installed, as /etc/os-release describes it."""

import re

from nunchi.agent.check import Check, Context
from nunchi.agent.errors import Unavailable
from nunchi.agent.root import read_text

FILES = ("/etc/os-release", "/usr/lib/os-release")
LABELS = (
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
)
VERSION = re.compile(r"[0-9]+\.?[0-9]*")
ESCAPE = re.compile(r'\\(["\'$`\\])')


class OsCheck(Check):
    """`node_os_info`, and `node_os_version` as a number where the version begins with one."""

    name = "os"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        fields = read_os_release([context.root.host_path(path) for path in FILES])
        labels = {label: fields.get(label.upper(), "") for label in LABELS}
        context.emit.gauge("node_os_info", 1, **labels)
        version = VERSION.match(labels["version_id"])
        if version:
            names = {label: labels[label] for label in ("id", "id_like", "name")}
            context.emit.gauge("node_os_version", float(version[0]), **names)


def read_os_release(paths: list[str]) -> dict[str, str]:
    """The assignments of the first of these files that exists."""
    for path in paths:
        try:
            text = read_text(path)
        except FileNotFoundError:
            continue
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
        return {name.strip(): unquote(value.strip()) for name, _, value in pairs}
    raise Unavailable(f"none of {', '.join(paths)} exists")


def unquote(text: str) -> str:
    """The value of a shell assignment that holds one word."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        inner = text[1:-1]
        return inner if text[0] == "'" else ESCAPE.sub(r"\1", inner)
    return text
