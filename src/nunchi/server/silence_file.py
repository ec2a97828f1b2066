"""Silences on disk, so that a restart wakes nobody: `silences.json` in the data folder, written anew after every change.

Invariant: a file that cannot be read is set aside, never overwritten; a disk that takes nothing costs no silence while the
process lives.
"""

from pathlib import Path

import msgspec

from nunchi.kit.disk import Disk, DiskError, DiskMissing
from nunchi.kit.logs import Logger
from nunchi.model.labels import Labels
from nunchi.notify.errors import MatcherError
from nunchi.notify.matchers import make_matcher
from nunchi.notify.silences import Silence, Silences

DAMAGED = ".damaged"


class KeptSilence(msgspec.Struct, frozen=True):
    """One silence as the file has it; a matcher is name, operator, value."""

    id: str
    matchers: list[tuple[str, str, str]]
    starts_at_ms: int
    ends_at_ms: int
    updated_at_ms: int
    created_by: str
    comment: str
    annotations: dict[str, str] = {}

    @classmethod
    def of(cls, silence: Silence) -> "KeptSilence":
        """The same silence."""
        return cls(
            silence.id,
            [(matcher.name, matcher.operator.value, matcher.value) for matcher in silence.matchers],
            silence.starts_at_ms,
            silence.ends_at_ms,
            silence.updated_at_ms,
            silence.created_by,
            silence.comment,
            dict(silence.annotations.pairs),
        )

    def silence(self) -> Silence:
        """The same silence. Raises `MatcherError`."""
        return Silence(
            tuple(make_matcher(*matcher) for matcher in self.matchers),
            self.starts_at_ms,
            self.ends_at_ms,
            self.created_by,
            self.comment,
            self.id,
            self.updated_at_ms,
            Labels(self.annotations),
        )


class SilenceFile:
    """Ties silences to a file."""

    def __init__(self, path: Path, disk: Disk, silences: Silences, log: Logger) -> None:
        self._path = path
        self._disk = disk
        self._silences = silences
        self._log = log

    def open(self) -> None:
        """Load what is there, and keep every change from now on."""
        try:
            kept = msgspec.json.decode(self._disk.read(self._path), type=list[KeptSilence])
            self._silences.load([one.silence() for one in kept])
        except DiskMissing:
            pass
        except (msgspec.DecodeError, MatcherError, ValueError) as error:
            aside = self._path.with_name(self._path.name + DAMAGED)
            self._disk.rename(self._path, aside)
            self._log.error("silences cannot be read and are set aside: set them anew", file=aside, error=error)
        self._silences.on_change = self._save

    def _save(self) -> None:
        kept = [KeptSilence.of(silence) for silence in self._silences.all()]
        try:
            self._disk.write_atomically(self._path, msgspec.json.encode(kept))
        except DiskError as error:
            self._log.warning("silences are kept in memory alone and end with this process", error=error)
