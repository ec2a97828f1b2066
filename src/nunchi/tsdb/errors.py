"""What can go wrong with files of a data folder.

DatabaseError (WorldError)
├── Corruption       bytes are not what was written: says file, place, and what is lost
└── NewerVersion     a file was written by a newer nunchi: refused, left alone
"""

from nunchi.kit.errors import WorldError


class DatabaseError(WorldError):
    """Anything wrong with a data folder."""


class Corruption(DatabaseError):
    """Bytes on disk are damaged."""


class NewerVersion(DatabaseError):
    """A file's format is newer than this program."""
