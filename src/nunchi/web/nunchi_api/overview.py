"""What the pages need besides Prometheus's API: a summary of what is well and what is not, dashboards.

Invariant: everything here is a cheap snapshot; samples are asked through PromQL like anybody's.
"""

from collections import Counter

from nunchi.kit.http_route import Route
from nunchi.model.alert import AlertState
from nunchi.web.contracts import AgentSource, AgentView, RuleSource, StatusSource, TargetSource
from nunchi.web.dashboards import Dashboard
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.errors import ApiError
from nunchi.web.prometheus_api.parameters import Parameters

ALERT_NAMES_MAX = 20


class OverviewEndpoints:
    """Endpoints below `/api/nunchi/v1`."""

    def __init__(
        self,
        targets: TargetSource,
        agents: AgentSource,
        rules: RuleSource,
        status: StatusSource,
        dashboards: dict[str, Dashboard],
        own_instance: str,
    ) -> None:
        self._targets = targets
        self._agents = agents
        self._rules = rules
        self._status = status
        self._dashboards = dashboards
        self._own_instance = own_instance

    def routes(self, envelope: Envelope) -> list[Route]:
        """All of them."""
        return [
            *envelope.read("/api/nunchi/v1/summary", self.summary),
            *envelope.read("/api/nunchi/v1/dashboards", self.dashboard_names),
            *envelope.read("/api/nunchi/v1/dashboards/{name}", self.dashboard),
        ]

    async def summary(self, _: Parameters) -> Answer:
        """Targets and agents by health, alerts by state, what ails the server, the machine that pages open with, intervals."""
        targets = self._targets.targets()
        agents = self._agents.agents()
        health = Counter(target.health.value for target in targets)
        agent_health = Counter(_health(agent) for agent in agents)
        rules = [rule for group in self._rules.groups() for rule in group.rules]
        alerts = Counter(alert.state for rule in rules for alert in rule.alerts)
        intervals = {target.labels.get("instance"): target.interval_ms / 1000 for target in targets}
        intervals |= {agent.instance: agent.interval_seconds for agent in agents}
        return Answer(
            {
                "targets": {state: health[state] for state in ("up", "down", "unknown")},
                "agents": {state: agent_health[state] for state in ("up", "down")},
                "alerts": {
                    "firing": alerts[AlertState.FIRING],
                    "pending": alerts[AlertState.PENDING],
                    "names": [rule.name for rule in rules if rule.alerts][:ALERT_NAMES_MAX],
                },
                "notifications": [one.text for one in self._status.notifications()],
                "instance": self._own_instance,
                "intervals": intervals,
            }
        )

    async def dashboard_names(self, _: Parameters) -> Answer:
        """Names of the dashboards that ship with nunchi."""
        return Answer({"dashboards": sorted(self._dashboards)})

    async def dashboard(self, parameters: Parameters) -> Answer:
        """One dashboard."""
        name = parameters.path["name"]
        found = self._dashboards.get(name)
        if found is None:
            raise ApiError("not_found", f'there is no dashboard "{name}": /api/nunchi/v1/dashboards lists them')
        return Answer(found)


def _health(agent: AgentView) -> str:
    return "up" if agent.is_up else "down"
