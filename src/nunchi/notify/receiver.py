"""The contract of receivers: one kind a file in `receivers/`, listed in `receiver_registry`."""

from typing import Protocol

from nunchi.notify.notification import Notification


class Receiver(Protocol):
    """Sends notifications to one place. It neither retries nor remembers: the pipeline does."""

    kind: str
    sends_resolved: bool

    async def send(self, notification: Notification, timeout_seconds: float) -> None:
        """Send one notification; returns once it was taken, raises `SendError` where it was not."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
