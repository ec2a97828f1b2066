"""The contract of a check: it measures one thing and emits what it found. Checks stand in `checks/`, one a file."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.emission import Emission
from nunchi.agent.root import Root
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger


@dataclass(frozen=True, slots=True)
class Context:
    """What a run may use; one that takes longer than `deadline_seconds` has failed."""

    emit: Emission
    clock: Clock
    root: Root
    log: Logger
    deadline_seconds: float = 5.0


class Check(ABC):
    """One object per instance; `run` is called in some thread, never twice at once, and raises what it likes."""

    name: ClassVar[str]
    job: ClassVar[str] = "node"
    settings_type: ClassVar[type[CheckSettings]] = CheckSettings
    is_default: ClassVar[bool] = True  # whether it runs without being mentioned in the settings

    def __init__(self, settings: CheckSettings) -> None:
        self.settings = settings

    @abstractmethod
    def run(self, context: Context) -> None:
        """Measure and emit. What was emitted before a failure stands."""
