"""`status/*`, `notifications`: which program this is, how it was started and configured, how it fares, what it stores."""

from collections.abc import Callable

from nunchi.kit.http_route import Route
from nunchi.storage.cardinality import CardinalitySource, Row
from nunchi.storage.contracts import Store
from nunchi.web.contracts import StatusSource
from nunchi.web.prometheus_api.cardinality import CARDINALITY_ROWS_DEFAULT, CARDINALITY_ROWS_MAX
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.errors import invalid_parameter
from nunchi.web.prometheus_api.moments import format_moment
from nunchi.web.prometheus_api.parameters import Parameters
from nunchi.web.prometheus_api.reading import Reading
from nunchi.web.prometheus_api.selectors import read_selectors


class StatusEndpoints:
    """Endpoints about the process and its store."""

    def __init__(
        self,
        source: StatusSource,
        store: Store,
        cardinality: CardinalitySource,
        reading: Reading,
        now_ms: Callable[[], int],
    ) -> None:
        self._source = source
        self._store = store
        self._cardinality = cardinality
        self._reading = reading
        self._now_ms = now_ms

    def routes(self, envelope: Envelope) -> list[Route]:
        """All of them."""
        return [
            *envelope.read("/api/v1/status/buildinfo", self.build),
            *envelope.read("/api/v1/status/runtimeinfo", self.runtime),
            *envelope.read("/api/v1/status/flags", self.flags),
            *envelope.read("/api/v1/status/config", self.configuration),
            *envelope.read("/api/v1/status/tsdb", self.tsdb),
            *envelope.read("/api/v1/status/walreplay", self.loading),
            *envelope.read("/api/v1/notifications", self.notifications),
        ]

    async def build(self, _: Parameters) -> Answer:
        """Version and origin of the program."""
        return Answer(self._source.build().shown())

    async def runtime(self, _: Parameters) -> Answer:
        """State of the process. Keys that speak of Go hold what is nearest here: tasks for goroutines, cores for GOMAXPROCS."""
        runtime = self._source.runtime()
        return Answer(
            {
                "startTime": format_moment(runtime.started_ms),
                "CWD": runtime.working_directory,
                "hostname": runtime.hostname,
                "serverTime": format_moment(self._now_ms()),
                "reloadConfigSuccess": runtime.is_reload_successful,
                "lastConfigTime": format_moment(runtime.configuration_ms),
                "corruptionCount": 0,
                "goroutineCount": runtime.tasks,
                "GOMAXPROCS": runtime.cores,
                "GOMEMLIMIT": 0,
                "GOGC": "",
                "GODEBUG": "",
                "storageRetention": runtime.storage_retention,
                "threads": runtime.threads,
                "memoryBytes": runtime.memory_bytes,
            }
        )

    async def flags(self, _: Parameters) -> Answer:
        """Command line flags."""
        return Answer(dict(sorted(self._source.flags().items())))

    async def configuration(self, _: Parameters) -> Answer:
        """The configuration in force."""
        return Answer({"yaml": self._source.configuration()})

    async def loading(self, _: Parameters) -> Answer:
        """How far what is stored is loaded, in percent: what replay of the log is to Prometheus."""
        is_done = not self._source.not_ready_reason()
        percent = 100 if is_done else int(self._source.loaded_ratio() * 100)
        return Answer({"min": 0, "max": 100, "current": percent, "state": "done" if is_done else "in progress"})

    async def notifications(self, _: Parameters) -> Answer:
        """What is not as it should be now."""
        shown = [
            {"text": one.text, "date": format_moment(one.since_ms), "active": True}
            for one in self._source.notifications()
        ]
        return Answer(shown)

    async def tsdb(self, parameters: Parameters) -> Answer:
        """Numbers of the store, and which names and labels the series of the head are spent on; `match[]` narrows them."""
        rows = parameters.count("limit", CARDINALITY_ROWS_DEFAULT)
        if not 0 < rows <= CARDINALITY_ROWS_MAX:
            raise invalid_parameter("limit", f"limit must be between 1 and {CARDINALITY_ROWS_MAX}")
        selectors = read_selectors(parameters, needed=False)
        found = await self._reading.read(lambda _: self._cardinality.cardinality(selectors, rows))
        head = {
            "numSeries": found.series,
            "numLabelPairs": found.pairs,
            "numSamples": self._store.statistics().samples,
            "chunkCount": found.chunks,
            "minTime": found.min_time_ms,
            "maxTime": found.max_time_ms,
        }
        return Answer(
            {
                "headStats": head,
                "seriesCountByMetricName": _table(found.metrics),
                "labelValueCountByLabelName": _table(found.label_values),
                "memoryInBytesByLabelName": _table(found.label_bytes),
                "seriesCountByLabelValuePair": _table(found.label_pairs),
            }
        )


def _table(rows: list[Row]) -> list[dict[str, object]]:
    return [{"name": name, "value": count} for name, count in rows]
