"""What every HTTP listener of the agent can be told: where, and with which certificate and users."""

from pathlib import Path

import msgspec


class ListenerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`web_config_file` (Prometheus's) is needed beyond loopback."""

    address: str = ""
    web_config_file: Path | None = None
