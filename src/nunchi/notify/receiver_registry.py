"""Which kinds of receivers can send here, and how each is made from its settings."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

from nunchi.kit.clock import Clock
from nunchi.notify.errors import NotifySettingsError
from nunchi.notify.receiver import Receiver
from nunchi.notify.receiver_settings import ReceiverKindSettings, WebhookSettings
from nunchi.notify.receivers.webhook import Webhook
from nunchi.notify.settings import GlobalSettings

Maker = Callable[[ReceiverKindSettings, GlobalSettings, Path, Clock], Receiver]


def _webhook(settings: ReceiverKindSettings, shared: GlobalSettings, folder: Path, clock: Clock) -> Receiver:
    return Webhook(cast("WebhookSettings", settings), shared.http_config, folder, clock)


MAKERS: tuple[tuple[str, Maker], ...] = (("webhook", _webhook),)


def make_receiver(
    receiver: str, kind: str, settings: ReceiverKindSettings, shared: GlobalSettings, folder: Path, clock: Clock
) -> Receiver:
    """A receiver that sends; raises `NotifySettingsError` for kinds that cannot send here."""
    for known, make in MAKERS:
        if known == kind:
            return make(settings, shared, folder, clock)
    known_kinds = ", ".join(f"{name}_configs" for name, _ in MAKERS)
    raise NotifySettingsError(
        f'receiver "{receiver}": {kind}_configs is not available here yet; use {known_kinds}, '
        "or send to an Alertmanager that has it"
    )
