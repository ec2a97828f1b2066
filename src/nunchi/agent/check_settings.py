"""What every check can be told in the agent's settings; a check adds its own fields in a subclass beside it."""

import msgspec

from nunchi.kit.durations import Duration


class CheckSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An interval and a deadline of its own, or the agent's; `enabled: false` leaves the check out.

    `labels` are added to all its samples: what tells two instances of one check apart.
    """

    enabled: bool = True
    interval: Duration | None = None
    deadline: Duration | None = None
    labels: dict[str, str] = {}
