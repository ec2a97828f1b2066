"""An agent as a program of its own: its parts under a supervisor."""

from collections.abc import Sequence
from random import Random

from nunchi.agent.agent import Agent
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.supervision import Part, Supervisor


class AgentProgram:
    """Implements `kit.program.Program`."""

    def __init__(self, agent: Agent, clock: Clock, random: Random, log: Logger, others: Sequence[Part] = ()) -> None:
        """`others` are parts of the process that the agent knows nothing of."""
        self._agent = agent
        self._others = others
        self._supervisor = Supervisor(clock, random, log)
        agent.parts_status = self._supervisor.statistics

    async def start(self) -> None:
        """Start every part, or raise what one of them raises and keep none."""
        try:
            for part in (*self._others, *self._agent.parts):
                await self._supervisor.start(part)
        except BaseException:
            await self._supervisor.stop()
            raise

    async def stop(self) -> None:
        """Stop every part, last started first."""
        await self._supervisor.stop()
