"""How long alerts had been pending before a restart: read back from `ALERTS_FOR_STATE`, the downtime taken off.

Invariant: a restored alert never fires earlier than it would have without the restart.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nunchi.model.alert import ALERT_NAME
from nunchi.model.labels import METRIC_NAME, Labels
from nunchi.model.matchers import Matcher, MatchOperator
from nunchi.model.staleness import ABSENT_BITS, bits_of, is_stale
from nunchi.rules.alerting import ALERTS_FOR_STATE, AlertingRule
from nunchi.storage.contracts import Querier


@dataclass(frozen=True, slots=True)
class RestoreLimits:
    """How long an outage may last to be bridged, and how long every restored alert stays pending at least."""

    outage_ms_max: int = 3_600_000
    grace_ms: int = 600_000


def restore(rule: AlertingRule, open_querier: Callable[[], Querier], now_ms: int, limits: RestoreLimits) -> None:
    """Set back `active_at_ms` of the rule's pending alerts. Rules held shorter than the grace time are left alone."""
    if rule.hold_ms >= limits.grace_ms and rule.active:
        querier = open_querier()
        try:
            known = _last_states(querier, rule.name, now_ms - limits.outage_ms_max, now_ms)
        finally:
            querier.close()
        for labels, alert in rule.active.items():
            last = known.get(labels)
            if last is not None:
                alert.active_at_ms = _active_at(*last, rule.hold_ms, now_ms, limits.grace_ms)
    rule.is_restored = True


def _active_at(down_at_ms: int, was_active_at_ms: int, hold_ms: int, now_ms: int, grace_ms: int) -> int:
    remaining_ms = hold_ms - (down_at_ms - was_active_at_ms)
    if remaining_ms <= 0:
        return was_active_at_ms  # it fired before; it fires again at the next evaluation
    if remaining_ms < grace_ms:
        return now_ms + grace_ms - hold_ms
    return was_active_at_ms + now_ms - down_at_ms


def _last_states(querier: Querier, name: str, start_ms: int, end_ms: int) -> dict[Labels, tuple[int, int]]:
    """For each alert whose last sample is a value: when that was, and since when it was active then."""
    matchers = [
        Matcher(METRIC_NAME, MatchOperator.EQUAL, ALERTS_FOR_STATE),
        Matcher(ALERT_NAME, MatchOperator.EQUAL, name),
    ]
    selection = querier.select(matchers, start_ms, end_ms)
    found: dict[Labels, tuple[int, int]] = {}
    try:
        for tile in selection.read(0, len(selection.labels)):
            for place, series in enumerate(tile.series.tolist()):
                vector = tile.vector_of[place]
                times = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]].tolist()
                values = tile.values[tile.offsets[place] : tile.offsets[place + 1]].tolist()
                cells = [cell for cell in zip(times, values, strict=True) if bits_of(cell[1]) != ABSENT_BITS]
                if cells and not is_stale(cells[-1][1]):
                    labels = selection.labels.labels(series).drop(METRIC_NAME)
                    found[labels] = cells[-1][0], int(cells[-1][1]) * 1000
    finally:
        selection.close()
    return found
