"""What can go wrong with files of a data folder.

DatabaseError (WorldError)
├── CorruptionError       bytes are not what was written: says file, place, and what is lost
├── NewerVersionError     a file was written by a newer nunchi: refused, left alone
└── OlderVersionError     a file was written by a nunchi too old: refused, left alone
"""

from nunchi.kit.errors import WorldError


class DatabaseError(WorldError):
    """Anything wrong with a data folder."""


class CorruptionError(DatabaseError):
    """Bytes on disk are damaged."""


class NewerVersionError(DatabaseError):
    """A file's format is newer than this program."""


class OlderVersionError(DatabaseError):
    """A file's format is older than what this program reads."""
