"""Puts a server together: the one place where its concrete classes meet. Reads top to bottom in the order of the data."""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from nunchi.admission.door import Door
from nunchi.intake.receive.remote_write import RemoteWriteReceiver
from nunchi.intake.scrape.scrape_manager import ScrapeManager
from nunchi.intake.scrape.settings import ScrapeFeatures
from nunchi.kit.http_server import HttpPolicy, HttpServer
from nunchi.kit.logs import logger
from nunchi.kit.secrets import Secret
from nunchi.kit.supervision import Supervisor
from nunchi.kit.telemetry import Telemetry
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.limits import Limits
from nunchi.query.result_cache import ResultCache
from nunchi.query.runner import QueryRunner, RunnerSettings
from nunchi.server.configuration import ConfigurationLoader, LoadedConfiguration
from nunchi.server.configuration_watch import ConfigurationWatch
from nunchi.server.features import (
    AUTO_RELOAD,
    DELAYED_NAMES,
    EXTRA_REPORT,
    FAMILY_LABELS,
    START_STORAGE,
    STEP_STATISTICS,
    split_features,
    tell_without_effect,
)
from nunchi.server.flags import ServerFlags
from nunchi.server.fleet import Fleet
from nunchi.server.judgement import Judgement, build_judgement, external_url
from nunchi.server.language import load_functions, parser_settings
from nunchi.server.neighbours import SILENCES_FILE
from nunchi.server.retention import database_settings, follow_storage
from nunchi.server.server import Adjust, Server, ServerParts, unchanged
from nunchi.server.silence_file import SilenceFile
from nunchi.server.status import ServerStatus
from nunchi.server.storage_settings import TsdbSettings
from nunchi.server.views import AgentViews
from nunchi.server.world import World
from nunchi.tsdb.database import Database
from nunchi.tsdb.maintenance import Maintenance
from nunchi.tsdb.telemetry import DatabaseTelemetry
from nunchi.web.wiring import WebParts, web_routes


@dataclass(frozen=True, slots=True)
class Assembled:
    """What takes in, stores, queries and judges, before anything of it runs."""

    flags: ServerFlags
    store: Database
    maintenance: Maintenance
    scrape: ScrapeManager
    fleet: Fleet
    remote_write: RemoteWriteReceiver
    engine: Engine
    judgement: Judgement
    silence_file: SilenceFile

    def prepare(self) -> None:
        """Take the data folder. Raises a `WorldError`."""
        self.store.take()
        self.silence_file.open()
        self.fleet.open()

    async def close(self) -> None:
        """Give the data folder back."""
        self.fleet.close()
        await self.maintenance.close()

    def apply(self, configuration: LoadedConfiguration) -> None:
        """Work by a configuration. What may still refuse it comes first."""
        self.judgement.apply(configuration, external_url(self.flags))
        settings = configuration.prometheus.settings
        self.engine.subquery_step_ms = settings.common.evaluation_interval.ms
        self.scrape.apply(configuration.prometheus.scrape)
        follow_storage(self.store, self.flags, settings.storage)


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
    telemetry = Telemetry()
    parts = assemble(flags, world, telemetry)
    store = parts.store
    status = ServerStatus(flags, world.clock, telemetry, world.host_name, store.progress, store.loaded_ratio)

    async def reload() -> None:
        await server.reload()

    watches = []
    if flags.config_auto_reload or AUTO_RELOAD in split_features(flags.enable_feature):
        interval_seconds = flags.config_auto_reload_interval_ms / 1000
        watches = [ConfigurationWatch(loader.digest, reload, interval_seconds, world.clock, logger("server"))]
    server = Server(
        ServerParts(
            prepare=parts.prepare,
            web=build_web(parts, world, telemetry, status, reload, own_instance, own_token),
            takers=(*watches, parts.maintenance, parts.fleet.registry, *parts.fleet.receivers, parts.scrape),
            fill=parts.maintenance.load,
            judges=parts.judgement.parts,
            status=status,
            supervisor=Supervisor(world.clock, world.random, logger("supervision")),
            load=partial(loader.load, parts.engine.settings.parser),
            apply=parts.apply,
            adjust=adjust,
            close=parts.close,
            log=logger("server"),
        )
    )
    return server


def assemble(flags: ServerFlags, world: World, telemetry: Telemetry) -> Assembled:
    """The way of the data. Raises an `InputError` for flags that cannot be followed."""
    clock, counts, folder = world.clock, DatabaseTelemetry(telemetry), flags.storage_tsdb_path.absolute()
    features = split_features(flags.enable_feature)
    tell_without_effect(features, logger("server"))
    store = Database(folder, world.disk, clock, counts, logger("tsdb"), database_settings(flags, TsdbSettings()))
    door = Door(store.appender, clock, telemetry)
    scrape = ScrapeManager(
        door, clock, telemetry, logger("intake.scrape"), host_name=world.host_name, environment=world.environment,
        features=scrape_features(features),
    )  # fmt: skip
    engine = build_engine(flags, world, telemetry)
    judgement = build_judgement(flags, world, telemetry, store, engine)
    silences = judgement.notifier.silences
    return Assembled(
        flags=flags,
        store=store,
        maintenance=Maintenance(store, clock, counts, logger("tsdb")),
        scrape=scrape,
        fleet=Fleet(folder, world, store, door, telemetry, flags),
        remote_write=RemoteWriteReceiver(door, telemetry, logger("intake.receive")),
        engine=engine,
        judgement=judgement,
        silence_file=SilenceFile(folder / SILENCES_FILE, world.disk, silences, logger("notify")),
    )


def scrape_features(features: frozenset[str]) -> ScrapeFeatures:
    """What is on for all scrapes."""
    return ScrapeFeatures(
        with_starts=START_STORAGE in features,
        extra_report=EXTRA_REPORT in features,
        family_labels=FAMILY_LABELS in features,
    )


def build_web(
    parts: Assembled,
    world: World,
    telemetry: Telemetry,
    status: ServerStatus,
    reload: Callable[[], Awaitable[None]],
    own_instance: str,
    own_token: Secret | None,
) -> HttpServer:
    """What listens: intake's routes, API and pages."""
    flags, store, clock, judgement = parts.flags, parts.store, world.clock, parts.judgement
    policy = http_policy(flags, own_token)
    pages = WebParts(
        store=store,
        queries=QueryRunner(
            parts.engine, clock, RunnerSettings(concurrency_max=flags.query_max_concurrency), telemetry
        ),
        targets=parts.scrape,
        agents=AgentViews(parts.fleet.registry),
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
        labels_types=FAMILY_LABELS in split_features(flags.enable_feature),
        quit_process=lambda: signal.raise_signal(signal.SIGTERM),
    )
    routes = [*parts.remote_write.routes(), *parts.fleet.routes(), *web_routes(pages)]
    log, key_owner = logger("web"), parts.fleet.key_owner
    return HttpServer("web", flags.web_listen_address, routes, policy, clock, telemetry, log, key_owner)


def http_policy(flags: ServerFlags, own_token: Secret | None) -> HttpPolicy:
    """What may be asked of the web, and by whom."""
    return HttpPolicy(
        external_url=flags.web_external_url,
        route_prefix=flags.web_route_prefix or None,
        connections_max=flags.web_max_connections,
        cors_origin=flags.web_cors_origin,
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
        shows_steps=STEP_STATISTICS in features,
        functions=load_functions(flags.query_functions),
    )
    return Engine(settings, telemetry, world.clock.monotonic)
