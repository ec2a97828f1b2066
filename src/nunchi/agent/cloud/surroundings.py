"""What every clipper may use, in one place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nunchi.agent.clipper import ClipperKey
from nunchi.agent.cloud.calling import BlockingCalls
from nunchi.agent.cloud.exchange import Resource
from nunchi.agent.cloud.samples import SampleWriter
from nunchi.agent.cloud.telemetry import CloudTelemetry
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger

Inventory = Callable[[ClipperKey, Sequence[Resource]], None]
"""Takes an inventory that changed, for whoever shows it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`folder` is where relative files of the settings are."""

    clock: Clock
    random: Random
    calls: BlockingCalls
    writer: SampleWriter
    telemetry: CloudTelemetry
    log: Logger
    folder: Path
    put_inventory: Inventory
