"""All routes of the web out of what it shows. The server gives the sources; nothing here starts or stops."""

from dataclasses import dataclass, field
from random import Random, SystemRandom

from nunchi.kit.clock import Clock
from nunchi.kit.http_route import Route
from nunchi.query.result_cache import ResultCache
from nunchi.query.runner import QueryRunner
from nunchi.storage.cardinality import CardinalitySource
from nunchi.storage.contracts import Store
from nunchi.web.alertmanager_api.alerts import AlertEndpoints
from nunchi.web.alertmanager_api.silences import SilenceEndpoints
from nunchi.web.alertmanager_api.status import StatusEndpoints as NotifyStatusEndpoints
from nunchi.web.contracts import (
    Administration,
    AgentSource,
    AlertmanagerUrls,
    NotifySource,
    Quit,
    Reload,
    RuleSource,
    StatusSource,
    TargetSource,
)
from nunchi.web.dashboards import load_dashboards
from nunchi.web.nunchi_api.functions import FunctionEndpoints
from nunchi.web.nunchi_api.overview import OverviewEndpoints
from nunchi.web.nunchi_api.query_plan import QueryPlanEndpoints
from nunchi.web.pages import Pages
from nunchi.web.prometheus_api.admin import AdminEndpoints
from nunchi.web.prometheus_api.cardinality import SelectedCardinality
from nunchi.web.prometheus_api.envelope import Envelope
from nunchi.web.prometheus_api.features import FeatureEndpoints
from nunchi.web.prometheus_api.federation import FederationEndpoints
from nunchi.web.prometheus_api.lifecycle import LifecycleEndpoints
from nunchi.web.prometheus_api.query import QueryEndpoints
from nunchi.web.prometheus_api.reading import Reading
from nunchi.web.prometheus_api.rules import RuleEndpoints
from nunchi.web.prometheus_api.series import SeriesEndpoints
from nunchi.web.prometheus_api.status import StatusEndpoints
from nunchi.web.prometheus_api.targets import TargetEndpoints


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the web is made of. A `ScrapeManager` is a source of targets, a `RuleManager` one of rules.

    admin         of the store; None: there are no routes for it
    random        names snapshots
    results       keeps results of range queries; None: every query is evaluated
    own_instance  the `instance` of the agent in this process, with which the overview opens; empty where there is none
    prefix        what stands before every path, as `HttpPolicy.prefix`
    cardinality   who counts series; None: they are counted by their labels
    notifier      who notifies people; None: there is no `/api/v2`
    labels_types  whether scraped series carry the type and unit of their family
    quit_process  ends the process; where nobody says how, nothing happens
    """

    store: Store
    queries: QueryRunner
    targets: TargetSource
    agents: AgentSource
    rules: RuleSource
    status: StatusSource
    alertmanager_urls: AlertmanagerUrls
    reload: Reload
    clock: Clock
    admin: Administration | None = None
    random: Random = field(default_factory=SystemRandom)
    results: ResultCache | None = None
    own_instance: str = ""
    prefix: str = ""
    cardinality: CardinalitySource | None = None
    labels_types: bool = False
    quit_process: Quit = lambda: None
    notifier: NotifySource | None = None


def web_routes(parts: WebParts) -> list[Route]:
    """Every route, the pages' catch-all last."""
    envelope = Envelope(parts.status.closed_reason)
    reading = Reading(parts.queries, parts.store.querier)
    cardinality = parts.cardinality or SelectedCardinality(parts.store)
    overview = OverviewEndpoints(
        parts.targets, parts.agents, parts.rules, parts.status, load_dashboards(), parts.own_instance
    )
    admin = [] if parts.admin is None else AdminEndpoints(parts.admin, parts.clock, parts.random).routes(envelope)
    return [
        *admin,
        *_alertmanager_routes(parts),
        *QueryEndpoints(parts.store, reading, parts.clock.now_ms, parts.results).routes(envelope),
        *SeriesEndpoints(parts.store, reading).routes(envelope),
        *TargetEndpoints(parts.targets).routes(envelope),
        *RuleEndpoints(parts.rules, parts.alertmanager_urls).routes(envelope),
        *StatusEndpoints(parts.status, parts.store, cardinality, reading, parts.clock.now_ms).routes(envelope),
        *FeatureEndpoints(parts.queries.engine, labels_types=parts.labels_types).routes(envelope),
        *FederationEndpoints(reading, parts.clock.now_ms, parts.status.external_labels).routes(envelope),
        *overview.routes(envelope),
        *QueryPlanEndpoints(reading, parts.clock.now_ms).routes(envelope),
        *FunctionEndpoints(parts.queries.engine).routes(envelope),
        *LifecycleEndpoints(parts.status, parts.reload, parts.quit_process).routes(),
        *Pages(parts.prefix).routes(),
    ]


def _alertmanager_routes(parts: WebParts) -> list[Route]:
    if parts.notifier is None:
        return []
    now_ms = parts.clock.now_ms
    return [
        *AlertEndpoints(parts.notifier, now_ms).routes(),
        *SilenceEndpoints(parts.notifier, now_ms).routes(),
        *NotifyStatusEndpoints(parts.notifier, parts.status).routes(),
    ]
