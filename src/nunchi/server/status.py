"""What the process says of itself on pages and API: build, runtime, flags, configuration, readiness, telemetry."""

import asyncio
import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import nunchi
from nunchi.kit.clock import Clock
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.server.flags import ServerFlags
from nunchi.server.retention import database_settings, retention_text
from nunchi.server.settings import Configuration
from nunchi.server.shown_configuration import shown_configuration
from nunchi.server.storage_settings import TsdbSettings
from nunchi.web.contracts import BuildView, NotificationView, RuntimeView
from nunchi.wire.exposition_format import ExpositionFormat
from nunchi.wire.exposition_text import format_telemetry


class ServerStatus:
    """Implements `web.contracts.StatusSource`. The server tells it of reloads and readiness."""

    def __init__(
        self,
        flags: ServerFlags,
        clock: Clock,
        telemetry: Telemetry,
        host_name: str,
        progress: Callable[[], str],
        loaded_ratio: Callable[[], float],
    ) -> None:
        """`progress` says how far the store is with loading, empty once it has loaded; `loaded_ratio` the same in numbers."""
        self._flags = flags
        self._clock = clock
        self._telemetry = telemetry
        self._host_name = host_name
        self._started_ms = clock.now_ms()
        self._configuration: Configuration | None = None
        self._configuration_ms = 0
        self._is_reload_successful = True
        self._closed_reason = self._not_ready_reason = "starting"
        self._refused_ms = 0
        self._progress = progress
        self._loaded_ratio = loaded_ratio
        self._reload_successful = telemetry.gauge(
            "prometheus_config_last_reload_successful", "Whether the latest reload of the configuration succeeded."
        )
        self._reload_time = telemetry.gauge(
            "prometheus_config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded."
        )
        telemetry.gauge("process_start_time_seconds", "When this process started.").set(self._started_ms / 1000)
        telemetry.gauge("process_resident_memory_bytes", "Memory of this process.").observe_with(resident_bytes)
        telemetry.counter("process_cpu_seconds_total", "Processor time of this process.").observe_with(_cpu_seconds)
        telemetry.gauge("process_open_fds", "Open files of this process.").observe_with(_open_files)
        build = telemetry.gauge("nunchi_build_info", "Which program this is.", "version", "python_version")
        build.set(1, nunchi.__version__, platform.python_version())

    # What the server tells.

    def open(self) -> None:
        """From now on queries about what is loaded are answered."""
        self._closed_reason = ""

    def become_ready(self) -> None:
        """From now on every query is answered."""
        self._not_ready_reason = ""

    def begin_stop(self) -> None:
        """From now on nobody should ask any more."""
        self._closed_reason = self._not_ready_reason = "stopping"

    def take_configuration(self, configuration: Configuration) -> None:
        """Remember the configuration that is in force from now on."""
        self._configuration = configuration
        self._configuration_ms = self._clock.now_ms()
        self._is_reload_successful = True
        self._reload_successful.set(1)
        self._reload_time.set(self._configuration_ms / 1000)

    def refuse_configuration(self) -> None:
        """A reload failed; what was in force stays."""
        self._is_reload_successful = False
        self._refused_ms = self._clock.now_ms()
        self._reload_successful.set(0)

    # What the web asks.

    def build(self) -> BuildView:
        """See `StatusSource.build`."""
        return BuildView(
            version=nunchi.__version__,
            revision=_revision(),
            branch="",
            build_user="",
            build_date="",
            python_version=platform.python_version(),
        )

    def runtime(self) -> RuntimeView:
        """See `StatusSource.runtime`."""
        tsdb = self._configuration.settings.storage.tsdb if self._configuration else TsdbSettings()
        return RuntimeView(
            started_ms=self._started_ms,
            working_directory=str(Path.cwd()),
            hostname=self._host_name,
            cores=os.cpu_count() or 1,
            threads=threading.active_count(),
            tasks=len(asyncio.all_tasks()),
            memory_bytes=int(resident_bytes()),
            is_reload_successful=self._is_reload_successful,
            configuration_ms=self._configuration_ms,
            storage_retention=retention_text(database_settings(self._flags, tsdb)),
        )

    def flags(self) -> Mapping[str, str]:
        """See `StatusSource.flags`."""
        return self._flags.shown()

    def configuration(self) -> str:
        """See `StatusSource.configuration`."""
        return shown_configuration(self._configuration) if self._configuration else ""

    def not_ready_reason(self) -> str:
        """See `StatusSource.not_ready_reason`."""
        return self._closed_reason or self._progress() or self._not_ready_reason

    def closed_reason(self) -> str:
        """See `StatusSource.closed_reason`."""
        return self._closed_reason

    def loaded_ratio(self) -> float:
        """See `StatusSource.loaded_ratio`."""
        return self._loaded_ratio()

    def notifications(self) -> Sequence[NotificationView]:
        """See `StatusSource.notifications`."""
        found = []
        if not self._is_reload_successful:
            text = "The configuration could not be loaded again: the earlier one stays in force, the log says what is wrong."
            found.append(NotificationView(text, self._refused_ms))
        if reason := self.not_ready_reason():
            found.append(NotificationView(f"Not every query is answered now: {reason}.", self._started_ms))
        return found

    def external_labels(self) -> Labels:
        """See `StatusSource.external_labels`."""
        return self._configuration.external_labels if self._configuration else Labels()

    def metrics(self, exposition_format: ExpositionFormat) -> bytes:
        """See `StatusSource.metrics`."""
        return format_telemetry(self._telemetry, exposition_format)


def resident_bytes() -> float:
    """Memory of this process that is in use and not a file's."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _open_files() -> float:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names alone are counted)


def _revision() -> str:
    """The commit that was installed, where the installation knows it."""
    try:
        text = distribution("nunchi").read_text("direct_url.json") or ""
    except PackageNotFoundError:
        return ""
    _, found, rest = text.partition('"commit_id": "')
    return rest.partition('"')[0] if found else ""
