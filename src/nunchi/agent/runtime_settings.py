"""Settings changed over the API: a few that cannot do harm, laid over those of the files and kept in the state folder.

What comes over the API is a closed set: no addresses, no paths, no references, no checks. A file in the state folder keeps it
over restarts; without that the settings are those of the files again.
Invariant: what is laid over is validated like the files, and no setting that is not named here can come by this way.
"""

from pathlib import Path
from typing import Any

import msgspec

from nunchi.agent.log_settings import LogSettings
from nunchi.agent.settings import AgentSettings, SpoolSettings
from nunchi.kit.durations import Duration
from nunchi.kit.settings import FieldError, SettingsError, load

RUNTIME_FILE = "runtime-settings.json"
LABELS_MAX, TAGS_MAX = 64, 256


class RuntimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Those that may be changed so; None is as the files say."""

    interval: Duration | None = None
    deadline: Duration | None = None
    labels: dict[str, str] | None = None
    tags: list[str] | None = None
    spool: SpoolSettings | None = None
    log: LogSettings | None = None

    def __post_init__(self) -> None:
        if len(self.labels or ()) > LABELS_MAX:
            raise FieldError(f"at most {LABELS_MAX} labels", "labels")
        if len(self.tags or ()) > TAGS_MAX:
            raise FieldError(f"at most {TAGS_MAX} tags", "tags")


def overlay(settings: AgentSettings, state_folder: Path) -> AgentSettings:
    """The settings of the files with what is kept in the state folder over them. Raises SettingsError."""
    path = state_folder / RUNTIME_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return settings
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            str(path), None, f"{error}; remove this file to return to the configuration files"
        ) from error
    changed = load(RuntimeSettings, text, str(path))
    said = {name: value for name in changed.__struct_fields__ if (value := getattr(changed, name)) is not None}
    try:
        return msgspec.structs.replace(settings, **said)
    except FieldError as error:
        raise SettingsError(str(path), None, f"{'.'.join(map(str, error.steps))}: {error}") from error


def merged(before: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """What is kept after a change: keys of it replace, objects are merged key by key, null takes a key away."""
    after = dict(before)
    for name, value in change.items():
        if value is None:
            after.pop(name, None)
        elif isinstance(value, dict) and isinstance(after.get(name), dict):
            after[name] = merged(after[name], value)
        else:
            after[name] = value
    return after
