"""What can go wrong with work on a data folder.

WorldError
├── UnfitFolder       a path is not what the work needs; says what it is and what to name instead
└── DamageFound       something cannot be read; what, and what is lost, was said before
Interrupted           somebody wants the work to end; what was done by then stays. No failure
"""

from nunchi.kit.errors import NunchiError, WorldError


class UnfitFolder(WorldError):  # noqa: N818 (a condition)
    """A path that is no data folder, or one of somebody else."""


class DamageFound(WorldError):  # noqa: N818 (a condition)
    """Some file of a data folder cannot be read."""


class Interrupted(NunchiError):  # noqa: N818 (not an error)
    """The work was asked to end."""
