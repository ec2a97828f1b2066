"""Rounds over a message bus: where it is, how payloads are sealed, how long a server may take."""

from typing import Literal

from nunchi.kit.bus_settings import BusSettings


class AgentBusSettings(BusSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Payloads go over the bus instead of HTTP, sealed by the key that the agent got when it joined.

    `mode`: `hmac` signs them, `aead` encrypts them too, so that the bus does not see them either; it needs nunchi[pack].
    """

    mode: Literal["aead", "hmac"] = "hmac"
