"""`series`, `labels`, `label/<name>/values`, `metadata`: what there is, without samples."""

from collections.abc import Callable, Iterable

from nunchi.kit.http_route import Route
from nunchi.model.matchers import Matcher
from nunchi.model.symbols import LabelTable
from nunchi.query.operators.tables import first_series, united
from nunchi.query.rendering import render_labels
from nunchi.storage.contracts import Querier, Store
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.names import unescape_name
from nunchi.web.prometheus_api.parameters import TIME_MS_MAX, TIME_MS_MIN, Parameters
from nunchi.web.prometheus_api.reading import Reading
from nunchi.web.prometheus_api.selectors import read_selectors

TRUNCATED = "results truncated due to limit"
NamesOf = Callable[[Querier, tuple[Matcher, ...], int, int, int], list[str]]


class SeriesEndpoints:
    """Endpoints about series, labels and metric families."""

    def __init__(self, store: Store, reading: Reading) -> None:
        self._store = store
        self._reading = reading

    def routes(self, envelope: Envelope) -> list[Route]:
        """All of them."""
        return [
            *envelope.read("/api/v1/series", self.series, "GET", "POST"),
            *envelope.read("/api/v1/labels", self.label_names, "GET", "POST"),
            *envelope.read("/api/v1/label/{name}/values", self.label_values),
            *envelope.read("/api/v1/metadata", self.metadata),
        ]

    async def series(self, parameters: Parameters) -> Answer:
        """Label sets of the series that match any selector and have samples in the range."""
        limit = parameters.count("limit")
        start_ms, end_ms = _range(parameters)
        selectors = read_selectors(parameters, needed=True)
        return await self._reading.read(lambda querier: _series(querier, selectors, start_ms, end_ms, limit))

    async def label_names(self, parameters: Parameters) -> Answer:
        """Names of labels."""
        return await self._names(parameters, _label_names)

    async def label_values(self, parameters: Parameters) -> Answer:
        """Values of the label that the path names; `U__` begins a name in escaped form."""
        name = unescape_name(parameters.path["name"])

        def values(querier: Querier, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, most: int) -> list[str]:
            return querier.label_values(name, matchers, start_ms, end_ms, most)

        return await self._names(parameters, values)

    async def metadata(self, parameters: Parameters) -> Answer:
        """Type, help and unit of metric families; `limit` counts families, `metric` names one."""
        metric = parameters.text("metric")
        limit = parameters.optional_count("limit")
        parameters.optional_count("limit_per_metric")  # one entry a family is kept: any limit allows it
        families = self._store.metadata()
        names = [metric] if metric and metric in families else [] if metric else sorted(families)
        shown = names if limit is None or limit < 0 else names[:limit]
        return Answer(
            {
                name: [{"type": families[name].type.value, "help": families[name].help, "unit": families[name].unit}]
                for name in shown
            }
        )

    async def _names(self, parameters: Parameters, names_of: NamesOf) -> Answer:
        limit = parameters.count("limit")
        start_ms, end_ms = _range(parameters)
        selectors = read_selectors(parameters, needed=False) or [()]
        most = _enough(limit)

        def read(querier: Querier) -> list[str]:
            found = {name for matchers in selectors for name in names_of(querier, matchers, start_ms, end_ms, most)}
            return sorted(found)

        return _limited(await self._reading.read(read), limit)


def _range(parameters: Parameters) -> tuple[int, int]:
    return parameters.time_ms("start", TIME_MS_MIN), parameters.time_ms("end", TIME_MS_MAX)


def _enough(limit: int) -> int:
    """How many must be read to know the first `limit` and whether there are more; 0 is all."""
    return limit + 1 if limit else 0


def _label_names(querier: Querier, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, most: int) -> list[str]:
    return querier.label_names(matchers, start_ms, end_ms, most)


def _series(
    querier: Querier, selectors: Iterable[tuple[Matcher, ...]], start_ms: int, end_ms: int, limit: int
) -> Answer:
    """The first label sets of the union; selections are sorted, so the first of each hold the first of all."""
    found: list[LabelTable] = []
    for matchers in selectors:
        selection = querier.select(matchers, start_ms, end_ms)
        try:
            found.append(first_series(selection.labels, _enough(limit)))
        finally:
            selection.close()
    table = found[0] if len(found) == 1 else united(querier.symbols, found)
    is_cut = bool(limit) and len(table) > limit
    return Answer(render_labels(first_series(table, limit)), warnings=(TRUNCATED,) if is_cut else ())


def _limited(found: list[str], limit: int) -> Answer:
    if limit and len(found) > limit:
        return Answer(found[:limit], warnings=(TRUNCATED,))
    return Answer(found)
