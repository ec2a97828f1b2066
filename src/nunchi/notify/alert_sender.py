"""What every alert passes on its way out: the server's own labels, relabelling, then each sink."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from nunchi.model.alert import Alert
from nunchi.model.labels import Labels
from nunchi.model.relabel import Relabeller, RelabelRule
from nunchi.notify.alertmanager_client import relabelled


class Sink(Protocol):
    """Takes alerts and never waits."""

    def send(self, alerts: Sequence[Alert]) -> None:
        """Take these alerts."""
        ...


class AlertSender:
    """The sink that rules are given: adds `external_labels` where an alert lacks them, relabels, hands on to all sinks."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)
        self._external_labels = Labels()
        self._relabeller = Relabeller()

    def apply(self, external_labels: Labels, relabel_rules: Sequence[RelabelRule]) -> None:
        """Work by these from now on."""
        self._external_labels = external_labels
        self._relabeller = Relabeller(relabel_rules)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Take alerts from rules."""
        leaving: list[Alert] = []
        for alert in alerts:
            labels = relabelled(self._external_labels.merge(alert.labels), self._relabeller)
            if labels is not None:
                leaving.append(replace(alert, labels=labels))
        for sink in self._sinks if leaving else ():
            sink.send(leaving)
