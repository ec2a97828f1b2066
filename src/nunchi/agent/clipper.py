"""The contract of a clipper: it takes what a cloud knows of one account in one region.

Providers stand in `clippers/`, one a folder.
Invariant: a clipper never ends by itself. What `clip` raises or reports is shown as its state, and it is called again when due.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nunchi.agent.clipper_settings import CloudSettings
from nunchi.wire.cloud_configuration import CloudConfiguration


@dataclass(frozen=True, slots=True, order=True)
class ClipperKey:
    """Which clipper: `kind` is `metrics` or `resources`."""

    provider: str
    account: str
    region: str
    kind: str


class Clipper(ABC):
    """One object per key. `clip` is never called twice at once, and may be cancelled at any wait."""

    key: ClipperKey

    @abstractmethod
    def due_at(self) -> float:
        """When `clip` is to be called next, by the monotonic clock."""

    @abstractmethod
    async def clip(self) -> Sequence[str]:
        """Take what is due; returns what went wrong with parts of it, a line each. Raises where nothing could be done."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what it holds."""


class Definition(Protocol):
    """What one account and region is to be watched for; equal ones need no new clippers."""

    @property
    def place(self) -> tuple[str, str, str]:
        """Provider, account, region: what is replaced where the definition changed."""
        ...


class Provider(Protocol):
    """One cloud provider."""

    name: str

    def apply(self, settings: CloudSettings) -> None:
        """Go on by other settings of the agent: definitions from now on are by them."""
        ...

    def definitions(self, configuration: CloudConfiguration) -> list[Definition]:
        """One per account and region."""
        ...

    def build(self, definition: Definition) -> list[Clipper]:
        """The clippers of a definition. Raises CloudError where its credentials are not known here."""
        ...

    async def check_credentials(self, account: str, credentials: str, role_arn: str, external_id: str) -> Sequence[str]:
        """Log in and list the regions. Raises CloudError."""
        ...
