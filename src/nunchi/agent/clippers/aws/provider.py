"""AWS as a provider: from accounts and regions to clippers.

All regions of an account share one session: a service's description, which is large, is in memory once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from nunchi.agent.clipper import Clipper, Definition
from nunchi.agent.clipper_settings import AwsCredentials, AwsSettings, CloudSettings
from nunchi.agent.clippers.aws.boto import BotoTransport, Transport
from nunchi.agent.clippers.aws.calls import AwsCalls
from nunchi.agent.clippers.aws.cloudwatch_clipper import CloudWatchClipper
from nunchi.agent.clippers.aws.inventory import Inventory
from nunchi.agent.clippers.aws.resource_clipper import ResourceClipper
from nunchi.agent.cloud.errors import CloudError, Kind
from nunchi.agent.cloud.exchange import Exchange
from nunchi.agent.cloud.surroundings import Surroundings
from nunchi.wire.cloud_configuration import ACCOUNTS_MAX, AwsAccount, CloudConfiguration

CHECK_REGION = "us-east-1"
CONNECTIONS_MAX = 10  # of one client
TRANSPORTS_MAX = ACCOUNTS_MAX


@dataclass(frozen=True, slots=True)
class AwsDefinition:
    """One account in one region, with the credentials that its name means here: other ones are another definition."""

    account: AwsAccount
    region: str
    credentials: AwsCredentials | None
    is_known: bool
    endpoint_url: str

    @property
    def place(self) -> tuple[str, str, str]:
        """See `Definition.place`."""
        return "aws", self.account.name, self.region


class AwsProvider:
    """Implements `Provider`."""

    name = "aws"

    def __init__(self, settings: AwsSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._transports: dict[tuple[str, str, str], Transport] = {}

    def apply(self, settings: CloudSettings) -> None:
        """See `Provider.apply`. Sessions of credentials that are as before are kept."""
        before, now = self._settings, settings.aws
        kept = before.endpoint_url == now.endpoint_url
        self._transports = {
            key: transport
            for key, transport in self._transports.items()
            if kept and before.credentials.get(key[0]) == now.credentials.get(key[0])
        }
        self._settings = now

    def definitions(self, configuration: CloudConfiguration) -> list[Definition]:
        """See `Provider.definitions`. The other regions of an account are no part of it."""
        found: list[Definition] = []
        for account in configuration.aws:
            credentials = self._settings.credentials.get(account.credentials)
            is_known = credentials is not None or not account.credentials
            for region in account.regions if account.enabled else ():
                own = msgspec.structs.replace(account, regions=(region,))
                found.append(AwsDefinition(own, region, credentials, is_known, self._settings.endpoint_url))
        return found

    def build(self, definition: Definition) -> list[Clipper]:
        """See `Provider.build`."""
        assert isinstance(definition, AwsDefinition)
        account, around = definition.account, self._around
        transport = self._transport(account.credentials, account.role_arn, account.external_id)
        calls = AwsCalls(
            account.name, definition.region, transport, around.calls, around.clock, around.random, around.telemetry
        )
        exchange = Exchange(around.clock, around.telemetry.dropped)
        inventory = Inventory(calls, with_describe=account.resources.describe)
        clippers: list[Clipper] = [ResourceClipper(account, calls, inventory, exchange, around)]
        if account.metrics:
            clippers.append(CloudWatchClipper(account, calls, inventory, exchange, around))
        return clippers

    async def check_credentials(self, account: str, credentials: str, role_arn: str, external_id: str) -> Sequence[str]:
        """See `Provider.check_credentials`."""
        around = self._around
        transport = self._transport(credentials, role_arn, external_id)
        calls = AwsCalls(account, CHECK_REGION, transport, around.calls, around.clock, around.random, around.telemetry)
        await calls.call("sts", "get_caller_identity")
        answer = await calls.call("ec2", "describe_regions")
        return sorted(str(one["RegionName"]) for one in answer.get("Regions", ()))

    def _transport(self, credentials: str, role_arn: str, external_id: str) -> Transport:
        own = self._settings.credentials.get(credentials)
        if credentials and own is None:
            known = ", ".join(sorted(self._settings.credentials)) or "none"
            raise CloudError(
                Kind.CREDENTIALS,
                f"this agent's settings have no credentials called {credentials!r} under cloud.aws.credentials "
                f"(known: {known})",
            )
        key = credentials, role_arn, external_id
        transport = self._transports.pop(key, None) or BotoTransport(
            own, role_arn, external_id, self._settings.endpoint_url, self._around.folder, CONNECTIONS_MAX
        )
        self._transports[key] = transport  # the last one used stands last
        while len(self._transports) > TRANSPORTS_MAX:
            del self._transports[next(iter(self._transports))]
        return transport
