"""The families of failure that cross packages. Each package raises its own types below one of the first two.

NunchiError
├── InputError       whoever sent it must change it: text, place and cure; nothing else is lost
└── WorldError       disk, network, a peer: retried with backoff, or reported once at a boundary
InvariantError       a bug: a state that our own code must never reach; like an assertion, caught by supervisors alone
"""


class NunchiError(Exception):
    """Anything that nunchi reports on purpose."""


class InputError(NunchiError):
    """Bad input: a line, a query, a file, a request."""


class WorldError(NunchiError):
    """The world did not do what was asked; trying again may help."""


def words_of(error: BaseException) -> str:
    """What a log or a status says of an error: of ours its message, which says all; of any other its type too."""
    text = str(error)
    if isinstance(error, NunchiError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class InvariantError(Exception):
    """A bug."""
