"""Puts a server together: the one place where its concrete classes meet. Reads top to bottom in the order of the data."""

import signal
from dataclasses import dataclass
from functools import partial

from nunchi.admission.door import Door
from nunchi.intake.receive.remote_write import RemoteWriteReceiver
from nunchi.intake.scrape.scrape_manager import ScrapeManager
from nunchi.kit.http_server import HttpPolicy, HttpServer
from nunchi.kit.logs import logger
from nunchi.kit.secrets import Secret
from nunchi.kit.supervision import Supervisor
from nunchi.kit.telemetry import Telemetry
from nunchi.notify.alert_sender import AlertSender
from nunchi.notify.alertmanager_client import AlertmanagerClient, ClientTelemetry
from nunchi.notify.notifier import Notifier
from nunchi.notify.telemetry import NotifyTelemetry
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.limits import Limits
from nunchi.query.result_cache import ResultCache
from nunchi.query.runner import QueryRunner, RunnerSettings
from nunchi.rules.restore import RestoreLimits
from nunchi.rules.rule_group import Connections, GroupDefaults
from nunchi.rules.rule_manager import RuleManager, RulesSettings
from nunchi.rules.surroundings import Surroundings
from nunchi.rules.telemetry import RuleTelemetry
from nunchi.server.configuration import ConfigurationLoader, LoadedConfiguration
from nunchi.server.evaluator import RuleEvaluator
from nunchi.server.flags import ServerFlags
from nunchi.server.fleet import Fleet
from nunchi.server.language import DELAYED_NAMES, START_STORAGE, load_functions, parser_settings, split_features
from nunchi.server.retention import database_settings, follow_storage
from nunchi.server.server import Adjust, Server, ServerParts, unchanged
from nunchi.server.status import ServerStatus
from nunchi.server.storage_settings import TsdbSettings
from nunchi.server.views import AgentViews
from nunchi.server.world import World
from nunchi.storage.contracts import Store
from nunchi.tsdb.database import Database
from nunchi.tsdb.maintenance import Maintenance
from nunchi.tsdb.telemetry import DatabaseTelemetry
from nunchi.web.wiring import WebParts, web_routes

RULE_QUERIES_MAX = 4


def build_server(
    flags: ServerFlags,
    loader: ConfigurationLoader,
    world: World,
    adjust: Adjust = unchanged,
    own_instance: str = "",
    own_token: Secret | None = None,
) -> Server:
    """A server that is not started.

    own_instance  the agent in this process, with which the overview opens
    own_token     with which other parts of this process are let in where users must sign in
    """
    clock, telemetry = world.clock, Telemetry()
    counts = DatabaseTelemetry(telemetry)
    keeping = database_settings(flags, TsdbSettings())
    store = Database(flags.storage_tsdb_path.absolute(), world.disk, clock, counts, logger("tsdb"), keeping)
    maintenance = Maintenance(store, clock, counts, logger("tsdb"))
    door = Door(store.appender, clock, telemetry)
    scrape = ScrapeManager(
        door, clock, telemetry, logger("intake.scrape"), host_name=world.host_name, environment=world.environment,
        with_starts=START_STORAGE in split_features(flags.enable_feature),
    )  # fmt: skip
    fleet = Fleet(flags.storage_tsdb_path.absolute(), world, store, door, telemetry, flags)
    remote_write = RemoteWriteReceiver(door, telemetry, logger("intake.receive"))
    engine = build_engine(flags, world, telemetry)
    queries = QueryRunner(engine, clock, RunnerSettings(concurrency_max=flags.query_max_concurrency), telemetry)
    judgement = build_judgement(flags, world, telemetry, store, engine)
    status = ServerStatus(flags, clock, telemetry, world.host_name, store.progress, store.loaded_ratio)
    policy = http_policy(flags, own_token)

    async def reload() -> None:
        await server.reload()

    pages = WebParts(
        store=store,
        queries=queries,
        targets=scrape,
        agents=AgentViews(fleet.registry),
        rules=judgement.rules,
        status=status,
        alertmanager_urls=judgement.alertmanagers.urls,
        reload=reload,
        clock=clock,
        admin=store,
        random=world.random,
        results=ResultCache(store, clock.now_ms, telemetry=telemetry),
        own_instance=own_instance,
        prefix=policy.prefix,
        cardinality=store,
        notifier=judgement.notifier,
        quit_process=lambda: signal.raise_signal(signal.SIGTERM),
    )
    routes = [*remote_write.routes(), *fleet.routes(), *web_routes(pages)]
    web = HttpServer("web", flags.web_listen_address, routes, policy, clock, telemetry, logger("web"), fleet.key_owner)

    def prepare() -> None:
        store.take()
        fleet.open()

    async def close() -> None:
        fleet.close()
        await maintenance.close()

    def apply(configuration: LoadedConfiguration) -> None:
        engine.subquery_step_ms = configuration.prometheus.settings.common.evaluation_interval.ms
        judgement.apply(configuration, external_url(flags))
        scrape.apply(configuration.prometheus.scrape)
        follow_storage(store, flags, configuration.prometheus.settings.storage)

    server = Server(
        ServerParts(
            prepare=prepare,
            web=web,
            takers=(maintenance, fleet.registry, *fleet.receivers, scrape),
            fill=maintenance.load,
            judges=judgement.parts,
            status=status,
            supervisor=Supervisor(clock, world.random, logger("supervision")),
            load=partial(loader.load, engine.settings.parser),
            apply=apply,
            adjust=adjust,
            close=close,
            log=logger("server"),
        )
    )
    return server


def http_policy(flags: ServerFlags, own_token: Secret | None) -> HttpPolicy:
    """What may be asked of the web, and by whom."""
    return HttpPolicy(
        external_url=flags.web_external_url,
        insecure=flags.web_insecure,
        lifecycle=flags.web_enable_lifecycle,
        admin=flags.web_enable_admin_api,
        web_config_file=flags.web_config_file,
        own_token=own_token,
    )


def build_engine(flags: ServerFlags, world: World, telemetry: Telemetry) -> Engine:
    """PromQL with the limits, features and functions of the flags; raises an `InputError`."""
    features = split_features(flags.enable_feature)
    limits = Limits(
        samples_max=flags.query_max_samples,
        bytes_max=flags.query_max_bytes,
        series_max=flags.query_max_series,
        timeout_seconds=flags.query_timeout_ms / 1000,
    )
    settings = EngineSettings(
        lookback_ms=flags.query_lookback_delta_ms,
        limits=limits,
        parser=parser_settings(features),
        delays_names=DELAYED_NAMES in features,
        functions=load_functions(flags.query_functions),
    )
    return Engine(settings, telemetry, world.clock.monotonic)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Rules, and where their alerts go."""

    rules: RuleManager
    sender: AlertSender
    notifier: Notifier
    alertmanagers: AlertmanagerClient

    @property
    def parts(self) -> tuple[Notifier, AlertmanagerClient, RuleManager]:
        """In the order of their start: who hears of alerts is there before they fire."""
        return self.notifier, self.alertmanagers, self.rules

    def apply(self, configuration: LoadedConfiguration, url: str) -> None:
        """Work by a configuration. What may still refuse it comes first."""
        prometheus = configuration.prometheus
        settings = prometheus.settings
        if configuration.notify is not None:
            self.notifier.apply(configuration.notify, configuration.notify_folder)
        self.alertmanagers.apply(settings.alerting.resolved(), prometheus.folder)
        self.sender.apply(prometheus.external_labels, settings.alerting.alert_relabel_configs)
        self.rules.apply(
            RulesSettings(
                prometheus.rule_files,
                GroupDefaults(settings.common.evaluation_interval.ms, settings.common.rule_query_offset.ms),
                Surroundings(prometheus.external_labels, url),
            )
        )


def build_judgement(flags: ServerFlags, world: World, telemetry: Telemetry, store: Store, engine: Engine) -> Judgement:
    """Rules over the store; their alerts go to our own notifier and to Alertmanagers outside."""
    clock = world.clock
    notifier = Notifier(clock, world.random, NotifyTelemetry(telemetry), logger("notify"), external_url(flags))
    alertmanagers = AlertmanagerClient(clock, ClientTelemetry(telemetry), logger("notify.alertmanagers"))
    sender = AlertSender((notifier, alertmanagers))
    queries = QueryRunner(engine, clock, RunnerSettings(concurrency_max=RULE_QUERIES_MAX))
    connections = Connections(
        evaluator=RuleEvaluator(queries, store),
        store=store,
        sink=sender,
        clock=clock,
        telemetry=RuleTelemetry(telemetry),
        log=logger("rules"),
        resend_delay_ms=flags.rules_alert_resend_delay_ms,
        restore_limits=RestoreLimits(flags.rules_alert_for_outage_tolerance_ms, flags.rules_alert_for_grace_period_ms),
        parser=engine.settings.parser,
    )
    return Judgement(RuleManager(connections), sender, notifier, alertmanagers)


def external_url(flags: ServerFlags) -> str:
    """Where people reach the pages, as far as flags tell."""
    return flags.web_external_url or f"http://{flags.web_listen_address}"
