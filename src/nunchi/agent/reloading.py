"""Settings that change while the agent runs: seen on disk, on SIGHUP or by request; validated whole, applied as a difference.

Invariant: what is broken changes nothing; the old settings stay in force, and status and metrics say so until it is mended.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nunchi.agent.configuration import AgentConfiguration, ConfigurationFolder
from nunchi.kit.clock import Clock
from nunchi.kit.errors import InputError
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry

LOOK_SECONDS = 10.0

Apply = Callable[[AgentConfiguration], Awaitable[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """How the latest reload ended. `waiting_for_restart` names settings that were changed and are not in force yet."""

    loaded_at_ms: int
    error: str = ""
    waiting_for_restart: tuple[str, ...] = ()


class SettingsWatch:
    """A part. `apply` takes a whole configuration and returns the settings that take a restart."""

    name = "agent.settings"

    def __init__(
        self,
        folder: ConfigurationFolder,
        first: AgentConfiguration,
        apply: Apply,
        clock: Clock,
        telemetry: Telemetry,
        log: Logger,
    ) -> None:
        self._folder = folder
        self._references = first.references
        self._apply = apply
        self._clock = clock
        self._log = log
        self._stamp = folder.stamp(first.references)
        self.status = ReloadStatus(clock.now_ms())
        self._reloads = telemetry.counter("agent_settings_reloads_total", "Times settings were read again.", "outcome")
        self._success = telemetry.gauge(
            "agent_settings_reload_successful",
            "0 while the files on disk are broken and earlier settings are in force.",
        )
        self._loaded_at = telemetry.gauge(
            "agent_settings_loaded_timestamp_seconds", "When the settings in force were read."
        )
        self._note(self.status)

    async def start(self) -> None:
        """Nothing to take: the first configuration was read before."""

    async def run(self) -> None:
        """Look at the files until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            if self._folder.stamp(self._references) != self._stamp:
                try:
                    await self.reload()
                except InputError:
                    continue  # told by reload; the next change is another attempt

    async def stop(self) -> None:
        """Nothing to give back."""

    async def reload(self) -> None:
        """Read everything again. Raises InputError where it is broken, and then nothing has changed."""
        self._stamp = self._folder.stamp(self._references)
        try:
            configuration = self._folder.load()
            waiting = await self._apply(configuration)
        except InputError as error:
            self._reloads.add(1, "refused")
            self._log.error("settings not loaded, the earlier ones stay", error=error)
            self._note(ReloadStatus(self.status.loaded_at_ms, str(error), self.status.waiting_for_restart))
            raise
        self._references = configuration.references
        self._stamp = self._folder.stamp(self._references)
        self._reloads.add(1, "loaded")
        self._log.info("settings loaded", waiting_for_restart=",".join(waiting) or "none")
        self._note(ReloadStatus(self._clock.now_ms(), "", waiting))

    def _note(self, status: ReloadStatus) -> None:
        self.status = status
        self._success.set(0 if status.error else 1)
        self._loaded_at.set(status.loaded_at_ms / 1000)
