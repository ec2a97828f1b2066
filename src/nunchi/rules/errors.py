"""What can go wrong with rules.

InputError
└── RuleError   one rule could not be evaluated: its query failed, or its result is not what a rule may give
"""

from nunchi.kit.errors import InputError


class RuleError(InputError):
    """A rule without a result this time; shown as its last error, counted, tried again at the next evaluation."""
