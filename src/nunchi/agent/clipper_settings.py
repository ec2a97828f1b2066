"""What the agent's own file says about clouds: where the cloud configuration comes from, and the credentials it may name.

Invariant: keys are written here and nowhere else; a cloud configuration only ever names them.
"""

import re
from typing import Literal

import msgspec

from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError

THREADS_DEFAULT = 10
THREADS_MAX = 64
PROFILE = re.compile(r"[\w.@ -]{1,128}")


class AwsCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key (its secret here or in a file), or a profile of the AWS files of the agent's user."""

    access_key_id: str = ""
    secret_access_key: Secret = Secret("")
    secret_access_key_file: str = ""
    session_token: Secret = Secret("")
    profile: str = ""

    def __post_init__(self) -> None:
        has_secret = bool(self.secret_access_key) + bool(self.secret_access_key_file)
        if self.profile:
            if self.access_key_id or has_secret or not PROFILE.fullmatch(self.profile):
                raise FieldError("a profile stands alone, without a key", "profile")
        elif not self.access_key_id or has_secret != 1:
            raise FieldError("give access_key_id with secret_access_key or secret_access_key_file, or a profile")


class AwsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`endpoint_url` is asked instead of Amazon's addresses: a private endpoint, or a test's server."""

    credentials: dict[str, AwsCredentials] = {}
    endpoint_url: str = ""

    def __post_init__(self) -> None:
        if self.endpoint_url and not self.endpoint_url.startswith(("http://", "https://")):
            raise FieldError("write an address in full, as in https://host", "endpoint_url")


class CloudSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Clippers run where this is given. `source`: who is asked for the cloud configuration; posting it is always possible."""

    source: Literal["server", "api"] = "server"
    threads_max: int = THREADS_DEFAULT
    aws: AwsSettings = AwsSettings()

    def __post_init__(self) -> None:
        if not 1 <= self.threads_max <= THREADS_MAX:
            raise FieldError(f"1 to {THREADS_MAX} threads ask the clouds", "threads_max")
