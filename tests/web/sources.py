"""Canned sources for the web: one healthy and one broken target, agents, rules in every state, hostile texts on demand."""

from collections.abc import Mapping, Sequence

from nunchi.intake.scrape.status import DroppedTarget, TargetStatus
from nunchi.intake.scrape.target import Health
from nunchi.kit.errors import InputError
from nunchi.model.alert import AlertState
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.rules.status import AlertStatus, RuleGroupStatus, RuleHealth, RuleKind, RuleStatus
from nunchi.web.contracts import AgentView, BuildView, NotificationView, RuntimeView
from nunchi.wire.exposition_format import ExpositionFormat

HOSTILE = {
    "markup": "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>",
    "quotes": "\"'`\\ &quot; {{constructor}} ${alert(1)}",
    "rtl": "\u202eevil\u202c \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u2067x",
    "long": "w" * 10_000,
    "scheme": "javascript:document.title='pwned'",
}
INSTANCE = "web-1.example"


def target(pool: str, url: str, health: Health, now_ms: int, error: str = "", **labels: str) -> TargetStatus:
    return TargetStatus(
        discovered_labels=Labels({"__address__": url.removeprefix("http://").split("/")[0], "job": pool}),
        labels=Labels({"job": pool, "instance": url.removeprefix("http://").split("/")[0], **labels}),
        scrape_pool=pool,
        scrape_url=url,
        global_url=url,
        health=health,
        last_error=error,
        last_scrape=0 if health is Health.UNKNOWN else (now_ms - 3200) / 1000,
        last_scrape_duration_seconds=0.0124,
        interval_ms=15_000,
        timeout_ms=10_000,
        samples=512,
        samples_kept=512,
        mechanism="static",
    )


class Targets:
    """Implements `TargetSource`."""

    def __init__(self, now_ms: int, hostile: bool = False) -> None:
        refused = 'Get "http://127.0.0.1:9323/metrics": connection refused: nothing listens there'
        self._targets = [
            target("nunchi", "http://127.0.0.1:9190/metrics", Health.UP, now_ms),
            target("node", "http://web-1.example:9100/metrics", Health.UP, now_ms, datacenter="fra1", rack="b12"),
            target("node", "http://web-2.example:9100/metrics", Health.UP, now_ms, datacenter="fra1", rack="b13"),
            target("docker", "http://127.0.0.1:9323/metrics", Health.DOWN, now_ms, refused),
            target("docker", "http://127.0.0.1:9324/metrics", Health.UNKNOWN, now_ms),
        ]
        if hostile:
            self._targets.append(
                target(HOSTILE["quotes"], HOSTILE["scheme"], Health.DOWN, now_ms, HOSTILE["markup"], **HOSTILE)
            )

    def targets(self) -> Sequence[TargetStatus]:
        return self._targets

    def dropped_targets(self) -> Sequence[DroppedTarget]:
        labels = Labels({"__address__": "10.0.0.7:9100", "__meta_env": "staging"})
        return [DroppedTarget(labels, "node", rule=0, error="")]

    def dropped_counts(self) -> Mapping[str, int]:
        return {"docker": 0, "node": 1, "nunchi": 0, "quiet": 0}

    def metadata(self, target: TargetStatus) -> Mapping[str, Metadata]:
        if target.health is not Health.UP:
            return {}
        return {
            "node_load1": Metadata(MetricType.GAUGE, "1m load average."),
            "requests_total": Metadata(MetricType.COUNTER, "Requests.", ""),
        }


class Agents:
    """Implements `AgentSource`."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def agents(self) -> Sequence[AgentView]:
        last, old = self._now_ms - 1400, self._now_ms - 95_000
        return [
            AgentView("node", INSTANCE, True, last, 0.21, 10.0, 20_474, "127.0.0.1", "0.1.0"),
            AgentView("node", "db-1.example", False, old, 2.9, 10.0, 1_177_200, "10.1.2.3", "0.1.0"),
        ]


def alert(state: AlertState, active_at_ms: int, value: float, summary: str, **labels: str) -> AlertStatus:
    return AlertStatus(Labels(labels), Labels({"summary": summary}), state, active_at_ms, 0, value)


class Rules:
    """Implements `RuleSource`."""

    def __init__(self, now_ms: int, hostile: bool = False) -> None:
        self._now_ms = now_ms
        self._hostile = hostile

    def groups(self) -> Sequence[RuleGroupStatus]:
        at_ms = self._now_ms - 4000
        return [
            RuleGroupStatus("host", "defaults/host.yml", 15.0, 0, 0.0044, at_ms, 0, self._alerting_rules()),
            RuleGroupStatus("recordings", "/etc/nunchi/cpu.yml", 30.0, 0, 0.0031, at_ms, 0, self._recording_rules()),
        ]

    def _alerting_rules(self) -> tuple[RuleStatus, ...]:
        now_ms = self._now_ms
        down = self._alerting(
            "InstanceDown",
            "up == 0",
            (
                alert(
                    AlertState.FIRING,
                    now_ms - 400_000,
                    0.0,
                    "127.0.0.1:9323 of job docker has not answered for 5 minutes",
                    alertname="InstanceDown",
                    instance="127.0.0.1:9323",
                    job="docker",
                    severity="critical",
                ),
            ),
            severity="critical",
        )
        fills = self._alerting(
            "FilesystemFillsUp",
            "predict_linear(node_filesystem_avail_bytes[6h], 24 * 3600) < 0\n"
            "and\nnode_filesystem_avail_bytes / node_filesystem_size_bytes < 0.4",
            (
                alert(
                    AlertState.PENDING,
                    now_ms - 60_000,
                    -1.5e9,
                    "/var on web-1.example will be full within a day",
                    alertname="FilesystemFillsUp",
                    instance=INSTANCE,
                    mountpoint="/var",
                    severity="warning",
                ),
            ),
            severity="warning",
        )
        rules = [
            down,
            fills,
            self._alerting("ClockSkew", "abs(node_timex_offset_seconds) > 0.05", (), severity="warning"),
        ]
        if self._hostile:
            texts = {**HOSTILE, "alertname": HOSTILE["markup"]}
            rules.append(
                self._alerting(
                    HOSTILE["markup"],
                    "up",
                    (alert(AlertState.FIRING, now_ms - 1000, float("nan"), HOSTILE["markup"], **texts),),
                    **HOSTILE,
                )
            )
        return tuple(rules)

    def _recording_rules(self) -> tuple[RuleStatus, ...]:
        recording = RuleStatus(
            kind=RuleKind.RECORDING,
            name="instance:cpu_busy:ratio",
            expression='1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[1m]))',
            labels=Labels(),
            health=RuleHealth.OK,
            last_error="",
            evaluation_seconds=0.0021,
            last_evaluation_ms=self._now_ms - 4000,
        )
        failing = RuleStatus(
            kind=RuleKind.RECORDING,
            name="instance:broken:ratio",
            expression="a / on(job) b",
            labels=Labels(),
            health=RuleHealth.ERROR,
            last_error='found duplicate series for the match group {job="node"} on the right hand-side of the operation',
            evaluation_seconds=0.0007,
            last_evaluation_ms=self._now_ms - 4000,
        )
        return recording, failing

    def _alerting(self, name: str, expression: str, alerts: tuple[AlertStatus, ...], **labels: str) -> RuleStatus:
        state = max((each.state for each in alerts), key=list(AlertState).index, default=AlertState.INACTIVE)
        return RuleStatus(
            kind=RuleKind.ALERTING,
            name=name,
            expression=expression,
            labels=Labels(labels),
            health=RuleHealth.OK,
            last_error="",
            evaluation_seconds=0.0012,
            last_evaluation_ms=self._now_ms - 4000,
            alerts=alerts,
            state=state,
            annotations=Labels({"summary": "{{ $labels.instance }} needs a look"}),
            hold_seconds=300,
            keep_firing_seconds=0,
        )


class Nothing:
    """Implements every source of lists, all empty: a server in its first second."""

    def targets(self) -> Sequence[TargetStatus]:
        return []

    def dropped_targets(self) -> Sequence[DroppedTarget]:
        return []

    def dropped_counts(self) -> Mapping[str, int]:
        return {}

    def metadata(self, _target: TargetStatus) -> Mapping[str, Metadata]:
        return {}

    def agents(self) -> Sequence[AgentView]:
        return []

    def groups(self) -> Sequence[RuleGroupStatus]:
        return []


class Status:
    """Implements `StatusSource` and `Reload`; `reason` and `broken` are set by tests."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.reason = ""
        self.broken = ""
        self.reloads = 0

    def build(self) -> BuildView:
        return BuildView("0.1.0", "f00dfeed", "main", "builder@host", "2026-01-31T12:00:00Z", "3.11.2")

    def runtime(self) -> RuntimeView:
        started_ms = self._now_ms - 5_400_000
        return RuntimeView(started_ms, "/var/lib/nunchi", INSTANCE, 2, 14, 31, 187 << 20, True, started_ms, "15d")

    def flags(self) -> Mapping[str, str]:
        return {
            "web.listen-address": "127.0.0.1:9190",
            "config.file": "/etc/nunchi/prometheus.yml",
            "storage.tsdb.path": "/var/lib/nunchi/data",
            "log.level": "info",
        }

    def configuration(self) -> str:
        return (
            "global:\n  scrape_interval: 15s\nscrape_configs:\n- job_name: node\n  basic_auth:\n    username: scraper\n"
            "    password: <secret>\n  static_configs:\n  - targets: ['web-1.example:9100', 'web-2.example:9100']\n"
        )

    def not_ready_reason(self) -> str:
        return self.reason

    def closed_reason(self) -> str:
        return self.reason

    def loaded_ratio(self) -> float:
        return 0.427 if self.reason else 1.0

    def notifications(self) -> Sequence[NotificationView]:
        return [NotificationView(self.broken, self._now_ms)] if self.broken else []

    def external_labels(self) -> Labels:
        return Labels({"job": "outer", "site": "north"})

    def metrics(self, exposition_format: ExpositionFormat) -> bytes:
        if exposition_format is ExpositionFormat.OPEN_METRICS:
            return b"# TYPE nunchi_requests counter\nnunchi_requests_total 12\n# EOF\n"
        return b"# TYPE nunchi_requests_total counter\nnunchi_requests_total 12\n"

    async def reload(self) -> None:
        if self.broken:
            raise InputError(self.broken)
        self.reloads += 1
