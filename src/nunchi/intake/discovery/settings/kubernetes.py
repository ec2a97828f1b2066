"""`kubernetes_sd_configs`: the richest of the schemas, with rules about which selectors go with which role."""

import re
from typing import Literal

import msgspec

from nunchi.intake.discovery.settings.requirements import require, require_address, require_url
from nunchi.kit.http_client import HttpClientSettings
from nunchi.kit.settings import FieldError

Role = Literal["node", "pod", "service", "endpoints", "endpointslice", "ingress"]

_SELECTABLE: dict[str, frozenset[str]] = {
    "pod": frozenset({"pod", "node"}),
    "service": frozenset({"service"}),
    "endpoints": frozenset({"pod", "service", "endpoints", "node"}),
    "endpointslice": frozenset({"pod", "service", "endpointslice", "node"}),
    "node": frozenset({"node"}),
    "ingress": frozenset({"ingress"}),
}
_FIELD_TERM = re.compile(r"[^=!,]+(?:==|!=|=)[^=!,]*")
_LABEL_WORD = r"(?:[A-Za-z0-9.\-]+/)?[A-Za-z0-9](?:[A-Za-z0-9_.\-]*[A-Za-z0-9])?"
_LABEL_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.\-]*[A-Za-z0-9])?)?"
_LABEL_TERM = re.compile(
    rf"\s*(?:!?\s*{_LABEL_WORD}"
    rf"|{_LABEL_WORD}\s*(?:==|!=|=|>|<)\s*{_LABEL_VALUE}"
    rf"|{_LABEL_WORD}\s+(?:in|notin)\s*\(\s*{_LABEL_VALUE}(?:\s*,\s*{_LABEL_VALUE})*\s*\))\s*"
)
_TERM_SEPARATOR = re.compile(r",(?![^(]*\))")


class Namespaces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to look."""

    own_namespace: bool = False
    names: tuple[str, ...] = ()


class AttachMetadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Labels of other objects to bring along."""

    node: bool = False
    namespace: bool = False


class Selector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which objects of a role count."""

    role: Role | None = None
    label: str = ""
    field: str = ""

    def __post_init__(self) -> None:
        require(self, "role")
        if self.field and not all(_FIELD_TERM.fullmatch(term.strip()) for term in self.field.split(",")):
            raise FieldError(f'"{self.field}" is no field selector: write name=value', "field")
        if self.label and not all(_LABEL_TERM.fullmatch(term) for term in _TERM_SEPARATOR.split(self.label)):
            raise FieldError(f'"{self.label}" is no label selector: write name=value', "label")


class KubernetesSettings(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """`kubernetes_sd_configs`."""

    api_server: str = ""
    role: Role | None = None
    kubeconfig_file: str = ""
    namespaces: Namespaces = Namespaces()
    selectors: tuple[Selector, ...] = ()
    attach_metadata: AttachMetadata = AttachMetadata()

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "role")
        own = msgspec.structs.asdict(self)
        defaults = msgspec.structs.asdict(HttpClientSettings())
        has_http_settings = any(own[name] != value for name, value in defaults.items())
        if self.api_server:
            require_address(self.api_server, "api_server")
            if "://" in self.api_server:
                require_url(self.api_server, "api_server")
            if self.kubeconfig_file:
                raise FieldError("kubeconfig_file and api_server exclude each other: keep one", "kubeconfig_file")
            if self.namespaces.own_namespace:
                raise FieldError("own_namespace works inside the cluster only: remove it or api_server", "namespaces")
        elif has_http_settings:
            cure = "remove them or kubeconfig_file" if self.kubeconfig_file else "name the api_server they are for"
            raise ValueError(f"HTTP settings of their own need api_server: {cure}")
        if self.kubeconfig_file and self.namespaces.own_namespace:
            raise FieldError("own_namespace works inside the cluster only: remove it or kubeconfig_file", "namespaces")
        self._check_selectors()

    def _check_selectors(self) -> None:
        seen: set[str] = set()
        for position, selector in enumerate(self.selectors):
            role = str(selector.role)
            if role in seen:
                raise FieldError(f"a second selector for role {role}: join them", "selectors", position)
            seen.add(role)
            usable = _SELECTABLE[str(self.role)]
            if role not in usable:
                raise FieldError(
                    f"role {self.role} takes selectors for {', '.join(sorted(usable))}, not for {role}",
                    "selectors",
                    position,
                )
