"""`features`: what this server can do, under the names by which clients of Prometheus's API look for it."""

from nunchi.kit.http_route import Route
from nunchi.query.engine import Engine
from nunchi.query.syntax.operators import AGGREGATIONS, AGGREGATIONS_EXPERIMENTAL, PRECEDENCE, TRIMS
from nunchi.query.syntax.signatures import FUNCTIONS
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.parameters import Parameters

API = {
    "exclude_alerts": True,
    "label_values_match": True,
    "otlp_write_receiver": False,
    "query_stats": True,
    "query_warnings": True,
    "remote_write_receiver": True,
    "time_range_labels": True,
    "time_range_series": True,
}
ALWAYS = (
    *(
        "at_modifier",
        "bool",
        "by",
        "duration_expr",
        "group_left",
        "group_right",
        "ignoring",
        "negative_offset",
        "offset",
    ),
    *("on", "per_query_lookback_delta", "subqueries", "without"),
)


class FeatureEndpoints:
    """One list, which is the same as long as the process lives."""

    def __init__(self, engine: Engine, *, labels_types: bool = False) -> None:
        self._engine = engine
        self._labels_types = labels_types

    def routes(self, envelope: Envelope) -> list[Route]:
        """The one there is."""
        return [*envelope.read("/api/v1/features", self.features)]

    async def features(self, _: Parameters) -> Answer:
        """Whether a feature is on, by category and name."""
        settings = self._engine.settings
        parser = settings.parser
        language = {
            **dict.fromkeys(ALWAYS, True),
            "anchored": parser.extended_selectors,
            "delayed_name_removal": settings.delays_names,
            "fill": parser.fill_modifiers,
            "fill_left": parser.fill_modifiers,
            "fill_right": parser.fill_modifiers,
            "per_step_stats": settings.shows_steps,
            "smoothed": parser.extended_selectors,
            "type_and_unit_labels": self._labels_types,
        }
        functions = {
            name: parser.experimental_functions or not function.experimental for name, function in FUNCTIONS.items()
        }
        functions |= {function.name: True for function in settings.functions}
        operators = dict.fromkeys((*(set(PRECEDENCE) - TRIMS), "=~", "!~"), True)
        operators |= {
            name: parser.experimental_functions or name not in AGGREGATIONS_EXPERIMENTAL for name in AGGREGATIONS
        }
        categories = {"api": API, "promql": language, "promql_functions": functions, "promql_operators": operators}
        return Answer({name: dict(sorted(features.items())) for name, features in categories.items()})
