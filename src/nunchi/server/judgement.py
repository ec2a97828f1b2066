"""Rules, and where their alerts go: put together, and changed with the configuration."""

from dataclasses import dataclass

from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.notify.alert_sender import AlertSender
from nunchi.notify.alertmanager_client import AlertmanagerClient, ClientTelemetry
from nunchi.notify.notifier import Notifier
from nunchi.notify.telemetry import NotifyTelemetry
from nunchi.query.engine import Engine
from nunchi.query.runner import QueryRunner, RunnerSettings
from nunchi.rules.restore import RestoreLimits
from nunchi.rules.rule_group import Connections, GroupDefaults
from nunchi.rules.rule_manager import RuleManager, RulesSettings
from nunchi.rules.surroundings import Surroundings
from nunchi.rules.telemetry import RuleTelemetry
from nunchi.server.configuration import LoadedConfiguration
from nunchi.server.evaluator import RuleEvaluator
from nunchi.server.flags import ServerFlags
from nunchi.server.world import World
from nunchi.storage.contracts import Store

RULE_QUERIES_MAX = 4


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
