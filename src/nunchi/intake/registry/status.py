"""What pages and API show of agents. Snapshots."""

from dataclasses import dataclass

from nunchi.intake.registry.health import HealthState


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """One agent as the server knows it. Times in milliseconds since the epoch by the server's clock, 0: not yet.

    `conflict` names another live agent that claims the same id, empty where there is none.
    """

    agent_id: str
    job: str
    instance: str
    version: str
    address: str
    epoch: int
    is_up: bool
    first_heard_ms: int
    last_heard_ms: int
    last_round_ms: int
    lag_seconds: float
    interval_seconds: float
    samples: int
    duplicates: int
    conflict: str
    health: HealthState = HealthState.NEW
    misses: int = 0
