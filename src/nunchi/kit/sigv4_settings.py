"""`sigv4` of configuration files: how requests to AWS are signed. What is here is checked; nothing signs yet."""

import msgspec

from nunchi.kit.secrets import Secret


class Sigv4Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How requests to AWS are signed."""

    region: str = ""
    access_key: str = ""
    secret_key: Secret = Secret("")
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    use_fips_sts_endpoint: bool = False
    service_name: str = ""

    def __post_init__(self) -> None:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError("access_key and secret_key belong together: give both or none")
