"""Everything outside of the process that a server touches, in one place, so that a test can bring its own."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random, SystemRandom

from nunchi.kit.clock import Clock, SystemClock
from nunchi.kit.disk import Disk
from nunchi.kit.system_disk import SystemDisk


@dataclass(frozen=True, slots=True)
class World:
    """Clock, disk, chance, environment and the machine's name."""

    clock: Clock = field(default_factory=SystemClock)
    disk: Disk = field(default_factory=SystemDisk)
    random: Random = field(default_factory=SystemRandom)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    host_name: str = field(default_factory=socket.gethostname)
