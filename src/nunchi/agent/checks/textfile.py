"""Metrics that other programs leave in files `*.prom`, as node_exporter's textfile collector reads them."""

import os
from pathlib import Path

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.emission import Emission
from nunchi.agent.errors import ServiceError
from nunchi.agent.exposition import forward_exposition

FILES_MAX = 1000
FILE_BYTES_MAX = 8 << 20


class TextfileSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`folders`: where the files are."""

    folders: tuple[str, ...] = ("/var/lib/prometheus/node-exporter",)


class TextfileCheck(Check):
    """What the files say; `node_textfile_mtime_seconds{file}`, `node_textfile_scrape_error`. A bad file costs itself alone."""

    name = "textfile"
    settings_type = TextfileSettings
    is_default = False

    def __init__(self, settings: TextfileSettings) -> None:
        super().__init__(settings)
        self._folders = settings.folders

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        errors: list[str] = []
        for folder in self._folders:
            try:
                paths = sorted(Path(context.root.host_path(folder)).glob("*.prom"))[:FILES_MAX]
            except OSError as error:
                errors.append(f"{folder}: {error.strerror}")
                continue
            if not paths and not Path(context.root.host_path(folder)).is_dir():
                errors.append(f"{folder}: is not a folder")
            for path in paths:
                reason = read_file(context.emit, path, f"{folder.rstrip('/')}/{path.name}")
                if reason:
                    errors.append(f"{path}: {reason}")
        context.emit.gauge("node_textfile_scrape_error", 1 if errors else 0)
        if errors:
            raise ServiceError("; ".join(errors[:5]))


def read_file(emit: Emission, path: Path, shown: str) -> str:
    """Forward one file whole or not at all; returns what is wrong with it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a named pipe must not hold us
        with os.fdopen(descriptor, "rb") as file:
            content, changed_at = file.read(FILE_BYTES_MAX + 1), os.fstat(file.fileno()).st_mtime
        if len(content) > FILE_BYTES_MAX:
            return f"is larger than {FILE_BYTES_MAX} bytes"
        forward_exposition(emit, content.decode())
    except (OSError, ValueError) as error:
        return str(error)
    emit.gauge("node_textfile_mtime_seconds", int(changed_at), file=shown)
    return ""
