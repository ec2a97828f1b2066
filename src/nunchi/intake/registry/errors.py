"""Why a push is not taken.

AgentConflictError (InputError)   another live agent has this id; the operator must give one of them its own
NotStoredError (WorldError)       nothing of it counts as taken; to be sent again
JoinError (InputError)            a join token that opens nothing
UnknownAgentError (InputError)    no agent has this id
CloudConfigurationError (InputError)
└── UnknownCloudConfigurationError
"""

from nunchi.kit.errors import InputError, WorldError


class AgentConflictError(InputError):
    """Two live agents say that they are the same."""


class NotStoredError(WorldError):
    """The store, or the registry, cannot take it now."""


class JoinError(InputError):
    """Nobody joins by this."""


class UnknownAgentError(InputError):
    """There is no such agent."""


class CloudConfigurationError(InputError):
    """A cloud configuration, or what an agent tells of its clouds, cannot be kept as it is."""


class UnknownCloudConfigurationError(CloudConfigurationError):
    """There is no such configuration."""
