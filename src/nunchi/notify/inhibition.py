"""Alerts muted by other alerts: `inhibit_rules:`.

Sources are kept in a set per rule and values of the `equal` labels, so that one that ends never uncovers a target which
another still covers.
Invariant: an alert that matches both sides of a rule is not inhibited by another that does, itself included.
"""

from collections.abc import Iterable, Sequence

from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.model.matchers import all_match
from nunchi.notify.route import matchers_of
from nunchi.notify.settings import InhibitRuleSettings


class InhibitRule:
    """One rule and the source alerts that it knows."""

    def __init__(self, settings: InhibitRuleSettings) -> None:
        self.name = settings.name
        self._sources = matchers_of(settings.source_match, settings.source_match_re, settings.source_matchers)
        self._targets = matchers_of(settings.target_match, settings.target_match_re, settings.target_matchers)
        self._equal = tuple(sorted(settings.equal))
        self._known: dict[tuple[str, ...], dict[int, Alert]] = {}

    def take(self, alert: Alert) -> None:
        """Remember an alert if it is a source."""
        if all_match(self._sources, alert.labels):
            self._known.setdefault(self._values(alert.labels), {})[alert.fingerprint] = alert

    def find_source(self, labels: Labels, now_ms: int) -> Alert | None:
        """An unresolved alert that mutes one with these labels."""
        if not all_match(self._targets, labels):
            return None
        is_source_too = all_match(self._sources, labels)
        for source in self._known.get(self._values(labels), {}).values():
            if source.is_resolved(now_ms):
                continue
            if not (is_source_too and all_match(self._targets, source.labels)):
                return source
        return None

    def expire(self, now_ms: int) -> None:
        """Forget sources that have ended."""
        for values, sources in list(self._known.items()):
            for fingerprint in [key for key, alert in sources.items() if alert.is_resolved(now_ms)]:
                del sources[fingerprint]
            if not sources:
                del self._known[values]

    def _values(self, labels: Labels) -> tuple[str, ...]:
        return tuple(labels.get(name) for name in self._equal)


class Inhibitor:
    """All rules. Hears of every alert; answers for every alert about to be notified."""

    def __init__(self, rules: Sequence[InhibitRuleSettings], alerts: Iterable[Alert] = ()) -> None:
        self._rules = [InhibitRule(settings) for settings in rules]
        for alert in alerts:
            self.take(alert)

    def take(self, alert: Alert) -> None:
        """Remember an alert where it is a source."""
        for rule in self._rules:
            rule.take(alert)

    def sources(self, labels: Labels, now_ms: int) -> list[Alert]:
        """Of each rule that mutes an alert with these labels, an alert that makes it do so."""
        found = (rule.find_source(labels, now_ms) for rule in self._rules)
        return [source for source in found if source is not None]

    def is_muted(self, labels: Labels, now_ms: int) -> bool:
        """Whether any rule mutes an alert with these labels."""
        return any(rule.find_source(labels, now_ms) is not None for rule in self._rules)

    def expire(self, now_ms: int) -> None:
        """Forget sources that have ended."""
        for rule in self._rules:
            rule.expire(now_ms)
