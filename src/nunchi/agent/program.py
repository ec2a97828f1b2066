"""An agent as a program of its own: its parts under a supervisor."""

from random import Random

from nunchi.agent.agent import Agent
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.supervision import Supervisor


class AgentProgram:
    """Implements `kit.program.Program`."""

    def __init__(self, agent: Agent, clock: Clock, random: Random, log: Logger) -> None:
        self._agent = agent
        self._supervisor = Supervisor(clock, random, log)
        agent.parts_status = self._supervisor.statistics

    async def start(self) -> None:
        """Start every part, or raise what one of them raises and keep none."""
        try:
            for part in self._agent.parts:
                await self._supervisor.start(part)
        except BaseException:
            await self._supervisor.stop()
            raise

    async def stop(self) -> None:
        """Stop every part, last started first."""
        await self._supervisor.stop()
