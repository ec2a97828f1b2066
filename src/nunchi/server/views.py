"""What the web shows of agents, out of what the registry knows."""

from collections.abc import Sequence

from nunchi.intake.registry.agent_registry import AgentRegistry
from nunchi.web.contracts import AgentView


class AgentViews:
    """Implements `web.contracts.AgentSource`."""

    def __init__(self, registry: AgentRegistry) -> None:
        self._registry = registry

    def agents(self) -> Sequence[AgentView]:
        """See `AgentSource.agents`."""
        return [
            AgentView(
                job=agent.job,
                instance=agent.instance,
                is_up=agent.is_up,
                last_round_ms=agent.last_round_ms,
                lag_seconds=agent.lag_seconds,
                interval_seconds=agent.interval_seconds,
                samples=agent.samples,
                address=agent.address,
                version=agent.version,
            )
            for agent in self._registry.agents()
        ]
