"""What a store says when it cannot answer yet.

WorldError
└── NotLoadedError    what is asked for is on disk and not loaded yet; says how far it is
"""

from nunchi.kit.errors import WorldError


class NotLoadedError(WorldError):
    """Ask again in some seconds."""
