"""Everything outside of the process that an agent touches, and where it tells of itself, so that a test brings its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from nunchi.kit.clock import Clock
from nunchi.kit.disk import Disk
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class World:
    """Clock, chance, disk and environment; the agent's metrics and log. Relative files of settings are below `folder`."""

    clock: Clock
    random: Random
    disk: Disk
    telemetry: Telemetry
    log: Logger
    folder: Path
    environment: Mapping[str, str]

    def part(self, name: str) -> "World":
        """The same for one part, which logs under its name."""
        return replace(self, log=self.log.part(name))
