"""Where alerts go when they leave the rules. Rules know nothing of notifications beyond this protocol."""

from collections.abc import Sequence
from typing import Protocol

from nunchi.model.alert import Alert


class AlertSink(Protocol):
    """Takes alerts, firing and resolved; never waits, never fails: what it cannot keep it drops and counts."""

    def send(self, alerts: Sequence[Alert]) -> None:
        """Take these alerts."""
        ...
