"""`rules`, `alerts`, `alertmanagers`: what is judged, what is wrong now, and who is told outside."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal

from nunchi.kit.http_route import Route
from nunchi.model.matchers import all_match
from nunchi.rules.status import AlertStatus, RuleGroupStatus, RuleKind, RuleStatus
from nunchi.web.contracts import AlertmanagerUrls, RuleSource
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.errors import ApiError, invalid_parameter
from nunchi.web.prometheus_api.moments import format_moment
from nunchi.web.prometheus_api.parameters import Parameters
from nunchi.web.prometheus_api.selectors import read_selectors

KINDS = {"": tuple(RuleKind), "alert": (RuleKind.ALERTING,), "record": (RuleKind.RECORDING,)}
FLAGS = {"": False, "0": False, "f": False, "false": False, "1": True, "t": True, "true": True}


class RuleEndpoints:
    """Endpoints about rules and alerts."""

    def __init__(self, source: RuleSource, alertmanager_urls: AlertmanagerUrls) -> None:
        self._source = source
        self._alertmanager_urls = alertmanager_urls

    def routes(self, envelope: Envelope) -> list[Route]:
        """All of them."""
        return [
            *envelope.read("/api/v1/rules", self.rules),
            *envelope.read("/api/v1/alerts", self.alerts),
            *envelope.read("/api/v1/alertmanagers", self.alertmanagers),
        ]

    async def rules(self, parameters: Parameters) -> Answer:
        """Groups with the rules that pass the filters; a group whose every rule was filtered out is left out."""
        choose = _rule_filter(parameters)
        with_alerts = not _flag(parameters, "exclude_alerts")
        names, files = set(parameters.all("rule_group[]")), set(parameters.all("file[]"))
        groups, token = _page(self._source.groups(), parameters)
        shown = []
        for group in groups:
            if (names and group.name not in names) or (files and group.file not in files):
                continue
            rules = [_rule(rule, with_alerts) for rule in group.rules if choose(rule)]
            if rules or not group.rules:
                shown.append(_group(group, rules))
        return Answer({"groups": shown, **({"groupNextToken": token} if token else {})})

    async def alerts(self, _: Parameters) -> Answer:
        """Pending and firing alerts of all rules."""
        rules = (rule for group in self._source.groups() for rule in group.rules)
        return Answer({"alerts": [_alert(alert) for rule in rules for alert in rule.alerts]})

    async def alertmanagers(self, _: Parameters) -> Answer:
        """Alertmanagers outside that alerts are sent to."""
        active = [{"url": url} for url in self._alertmanager_urls()]
        return Answer({"activeAlertmanagers": active, "droppedAlertmanagers": []})


def _flag(parameters: Parameters, name: str) -> bool:
    text = parameters.text(name)
    if text.lower() not in FLAGS:
        raise invalid_parameter(name, f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return FLAGS[text.lower()]


def _rule_filter(parameters: Parameters) -> Callable[[RuleStatus], bool]:
    kind = parameters.text("type").lower()
    if kind not in KINDS:
        raise invalid_parameter("type", f'not supported value "{kind}"')
    names = set(parameters.all("rule_name[]"))
    selectors = read_selectors(parameters, needed=False)

    def choose(rule: RuleStatus) -> bool:
        if rule.kind not in KINDS[kind] or (names and rule.name not in names):
            return False
        return not selectors or any(all_match(matchers, rule.labels) for matchers in selectors)

    return choose


def _page(groups: Sequence[RuleGroupStatus], parameters: Parameters) -> tuple[Sequence[RuleGroupStatus], str]:
    """The groups of one page and the token of the next: `file;name` of its first group."""
    limit, token = parameters.count("group_limit"), parameters.text("group_next_token")
    if token and not limit:
        raise invalid_parameter("group_limit", "group_limit needs to be set in order to paginate over the groups")
    begin = 0
    if token:
        tokens = [_token(group) for group in groups]
        if token not in tokens:
            raise ApiError.bad_data("invalid group_next_token")
        begin = tokens.index(token)
    if not limit or begin + limit >= len(groups):
        return groups[begin:], ""
    return groups[begin : begin + limit], _token(groups[begin + limit])


def _token(group: RuleGroupStatus) -> str:
    return f"{group.file};{group.name}"


def _group(group: RuleGroupStatus, rules: list[dict[str, object]]) -> dict[str, object]:
    return {
        "name": group.name,
        "file": group.file,
        "rules": rules,
        "interval": group.interval_seconds,
        "limit": group.limit,
        "evaluationTime": group.evaluation_seconds,
        "lastEvaluation": format_moment(group.last_evaluation_ms),
    }


def _rule(rule: RuleStatus, with_alerts: bool) -> dict[str, object]:
    common: dict[str, object] = {
        "name": rule.name,
        "query": rule.expression,
        "labels": dict(rule.labels),
        "health": rule.health.value,
        **({"lastError": rule.last_error} if rule.last_error else {}),
        "evaluationTime": rule.evaluation_seconds,
        "lastEvaluation": format_moment(rule.last_evaluation_ms),
    }
    if rule.kind is RuleKind.RECORDING:
        return {**common, "type": "recording"}
    return {
        "state": rule.state.value,
        **common,
        "duration": rule.hold_seconds,
        "keepFiringFor": rule.keep_firing_seconds,
        "annotations": dict(rule.annotations),
        "alerts": [_alert(alert) for alert in rule.alerts] if with_alerts else [],
        "type": "alerting",
    }


def _alert(alert: AlertStatus) -> dict[str, object]:
    kept = {"keepFiringSince": format_moment(alert.keep_firing_since_ms)} if alert.keep_firing_since_ms else {}
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state.value,
        "activeAt": format_moment(alert.active_at_ms),
        **kept,
        "value": format_exponent(alert.value),
    }


def format_exponent(value: float) -> str:
    """An alert's value: always with an exponent, `1e+00`, as Prometheus prints it."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int), value
    magnitude = len(digits) - 1 + exponent if value else 0
    mantissa = "".join(map(str, digits)).rstrip("0") or "0"
    fraction = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{'-' if sign else ''}{mantissa[0]}{fraction}e{'-' if magnitude < 0 else '+'}{abs(magnitude):02d}"
