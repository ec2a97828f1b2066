"""Settings: a YAML file in, frozen structs out, and text of them again without secrets.

`load` composes the text with marks (yaml_nodes), reads scalars by Go-YAML's rules (yaml_scalars) and walks the tree guided
by the types of a `msgspec.Struct` (conversion), so that every error names file, line and column. `dump` writes structs as
YAML, secrets redacted.
Invariant: what a file says is either in the struct or an error; nothing is ignored, nothing is guessed; what is
accepted without effect says so (without_effect).
"""

from nunchi.kit.durations import Duration
from nunchi.kit.secrets import Secret, Url
from nunchi.kit.settings.conversion import TextValue
from nunchi.kit.settings.dumping import dump
from nunchi.kit.settings.environment import Expanded
from nunchi.kit.settings.errors import FieldError, Place, SettingsError
from nunchi.kit.settings.loading import load, load_file, read_text
from nunchi.kit.settings.without_effect import WithoutEffect, remarks

__all__ = [
    "Duration",
    "Expanded",
    "FieldError",
    "Place",
    "Secret",
    "SettingsError",
    "TextValue",
    "Url",
    "WithoutEffect",
    "dump",
    "load",
    "load_file",
    "read_text",
    "remarks",
]
