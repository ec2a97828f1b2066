"""Clouds for the pages: the real routes over records in memory, told by make-believe agents."""

import random

from tests.web.sources import HOSTILE

from nunchi.intake.receive.cloud import CloudRoutes
from nunchi.intake.registry.agent_book import AgentBook
from nunchi.intake.registry.cloud_configurations import CloudConfigurations
from nunchi.intake.registry.cloud_states import CloudStates
from nunchi.kit.clock import Clock
from nunchi.kit.http_route import Route
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.storage.records import Records
from nunchi.wire.cloud_exchange import ClipperReport, CloudReport, CostReport, ResourceReport, ResourcesReport

CONFIGURATION = """
aws:
- name: production
  credentials: main
  regions: [eu-west-1, us-east-1]
  metrics: [{namespace: AWS/EC2, metrics: [{name: CPUUtilization}]}]
"""
DENIED = "cloudwatch.get_metric_data in us-east-1: AccessDeniedException: is not authorized to perform this"
RESOURCES = 230


class Clouds:
    """Configurations, states and inventories."""

    def __init__(self, clock: Clock) -> None:
        records, log = Records(None, clock), logger("test")
        records.open()
        book = AgentBook(records, clock, random.Random(1), Telemetry(), log)
        self.clock = clock
        self.configurations = CloudConfigurations(records, clock, log)
        self.states = CloudStates(records, clock)
        self._routes = CloudRoutes(self.configurations, self.states, book)

    def routes(self) -> list[Route]:
        return self._routes.routes()

    def fill(self) -> None:
        """One account that is well but for a region, one that cannot be watched, and what is in them."""
        now_ms = self.clock.now_ms()
        self.configurations.put("shop", ["cloud-*", "watcher"], CONFIGURATION)
        self.configurations.put("laboratory", ["lab-*"], CONFIGURATION.replace("production", "laboratory"))
        self.configurations.hand_over("a" * 32, "cloud-1")

        def clipper(region: str, kind: str, state: str, *messages: str, account: str = "production") -> ClipperReport:
            well_ms = now_ms - 41_000 if account == "production" else 0
            return ClipperReport(
                provider="aws", account=account, region=region, kind=kind, state=state, messages=list(messages),
                rounds=288, failures=3 if messages else 0, last_round_ms=now_ms - 40_000, last_success_ms=well_ms,
            )  # fmt: skip

        clippers = [
            clipper("eu-west-1", "metrics", "running"), clipper("eu-west-1", "resources", "running"),
            clipper("us-east-1", "metrics", "degraded", DENIED), clipper("us-east-1", "resources", "running"),
            clipper("eu-west-1", "", "failing", "this agent's settings have no credentials called 'other'", account="staging"),
        ]  # fmt: skip
        costs = [
            CostReport(account="production", region=region, api=api, calls=calls, failed_calls=failed, metrics_requested=asked)
            for region in ("eu-west-1", "us-east-1")
            for api, calls, failed, asked in (
                ("get_metric_data", 2304, 12, 1_152_000), ("list_metrics", 96, 0, 0), ("describe_instances", 288, 0, 0),
                ("get_resources", 288, 1, 0),
            )
        ]  # fmt: skip
        self.states.take_report(
            CloudReport(
                agent="a" * 32, name="cloud-1", state="running", origin="server", clippers=clippers, costs=costs
            )
        )
        self.states.take_report(CloudReport(agent="b" * 32, name="watcher", state="waiting"))
        for region in ("eu-west-1", "us-east-1"):
            self._take("production", region, [instance(region, number) for number in range(RESOURCES // 2)])

    def put_hostile(self) -> None:
        """Texts that attack whoever shows them: clouds are other people's."""
        clipper = ClipperReport(
            provider="aws", account=HOSTILE["markup"], region=HOSTILE["quotes"], kind=HOSTILE["scheme"],
            state="failing", messages=[HOSTILE["markup"], HOSTILE["long"]],
        )  # fmt: skip
        self.states.take_report(
            CloudReport(
                agent=HOSTILE["quotes"],
                name=HOSTILE["rtl"],
                state="running",
                error=HOSTILE["markup"],
                clippers=[clipper],
            )
        )
        resource = ResourceReport(
            id=HOSTILE["markup"], namespace=HOSTILE["quotes"], name=HOSTILE["long"], tags=HOSTILE, attributes=HOSTILE
        )
        self._take(HOSTILE["markup"], HOSTILE["rtl"], [resource])

    def _take(self, account: str, region: str, resources: list[ResourceReport]) -> None:
        self.states.take_resources(
            ResourcesReport(
                agent="a" * 32, name="cloud-1", provider="aws", account=account, region=region, resources=resources
            )
        )


def instance(region: str, number: int) -> ResourceReport:
    """One machine; every tenth has a disk beside it."""
    if number % 10 == 9:
        return ResourceReport(
            id=f"arn:aws:ec2:{region}:123456789012:volume/vol-{number:08x}", namespace="AWS/EBS", name=f"vol-{number:08x}",
            attributes={"size": "100", "type": "gp3"},
        )  # fmt: skip
    team = ("shop", "platform", "search")[number % 3]
    return ResourceReport(
        id=f"arn:aws:ec2:{region}:123456789012:instance/i-{number:017x}", namespace="AWS/EC2", name=f"{team}-{number}",
        tags={"Team": team, "Stage": "live"}, attributes={"type": "t3.micro", "state": "running", "metrics": "14"},
    )  # fmt: skip
