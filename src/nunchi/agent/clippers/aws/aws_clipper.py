"""What both clippers of one account and region have: who they are, what they call, and where they tell what they know."""

from nunchi.agent.clipper import Clipper, ClipperKey
from nunchi.agent.clippers.aws.calls import AwsCalls
from nunchi.agent.clippers.aws.inventory import Inventory
from nunchi.agent.cloud.exchange import Exchange
from nunchi.agent.cloud.surroundings import Surroundings
from nunchi.wire.cloud_configuration import AwsAccount

PROVIDER = "aws"


class AwsClipper(Clipper):
    """One account in one region. `inventory` and `exchange` are shared by the clippers of a place."""

    def __init__(
        self,
        kind: str,
        account: AwsAccount,
        calls: AwsCalls,
        inventory: Inventory,
        exchange: Exchange,
        around: Surroundings,
    ) -> None:
        self.key = ClipperKey(PROVIDER, account.name, calls.region, kind)
        self._account = account
        self._calls = calls
        self._inventory = inventory
        self._exchange = exchange
        self._around = around

    @property
    def _place(self) -> tuple[str, str]:
        """Account and region, as labels of what is counted."""
        return self._calls.account, self._calls.region

    def _now(self) -> float:
        """By the monotonic clock."""
        return self._around.clock.monotonic()
