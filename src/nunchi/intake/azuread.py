"""`azuread` of `remote_write`: how requests prove who sends them to Azure. Read and judged, not used by this version.

Invariant: exactly one way of proving it is given.
"""

import re
from typing import Final, Literal

import msgspec

from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError

UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TENANT = re.compile(r"[0-9a-zA-Z.\-]+")
_SCOPE = re.compile(r"[\w\s:/.\-]+")
WAYS: Final = ("managed_identity", "oauth", "sdk", "workload_identity")


def _check_client(client_id: str) -> None:
    if not UUID.fullmatch(client_id):
        raise FieldError(f'"{client_id}" is no client id: it is a UUID', "client_id")


def _check_tenant(tenant_id: str) -> None:
    if not _TENANT.fullmatch(tenant_id):
        raise FieldError(f'"{tenant_id}" is no tenant id: letters, digits, dots and dashes make one', "tenant_id")


class ManagedIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The machine's own identity, or another that it has."""

    client_id: str = ""

    def __post_init__(self) -> None:
        if self.client_id:
            _check_client(self.client_id)


class AzureOauth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered application."""

    client_id: str = ""
    client_secret: Secret = Secret("")
    tenant_id: str = ""

    def __post_init__(self) -> None:
        _check_client(self.client_id)
        if not self.client_secret:
            raise FieldError("client_secret is missing: add it", "client_secret")
        _check_tenant(self.tenant_id)


class AzureSdk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whatever Azure's own library finds."""

    tenant_id: str = ""

    def __post_init__(self) -> None:
        if self.tenant_id:
            _check_tenant(self.tenant_id)


class WorkloadIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token that the cluster puts into a file."""

    client_id: str = ""
    tenant_id: str = ""
    token_file_path: str = "/var/run/secrets/azure/tokens/azure-identity-token"  # noqa: S105 (a path)

    def __post_init__(self) -> None:
        _check_client(self.client_id)
        _check_tenant(self.tenant_id)


class AzureAdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole block."""

    cloud: Literal["AzurePublic", "AzureChina", "AzureGovernment"] = "AzurePublic"
    managed_identity: ManagedIdentity | None = None
    oauth: AzureOauth | None = None
    sdk: AzureSdk | None = None
    workload_identity: WorkloadIdentity | None = None
    scope: str = ""

    def __post_init__(self) -> None:
        given = [name for name in WAYS if getattr(self, name) is not None]
        if not given:
            raise ValueError(f"none of {', '.join(WAYS)} is given: give one")
        if len(given) > 1:
            raise FieldError(f"{given[0]} and {given[1]} exclude each other: keep one", given[1])
        if self.scope and not _SCOPE.fullmatch(self.scope):
            raise FieldError("scope has characters that no scope has", "scope")
