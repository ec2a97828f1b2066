"""Rules that write the same series: allowed, and seldom meant.

Invariant: two rules are duplicates where the metric or alert and all labels are the same.
"""

from collections import Counter
from collections.abc import Iterable

from nunchi.model.labels import Labels
from nunchi.rules.files import RuleGroupSettings

Written = tuple[str, Labels]


def duplicates_of(groups: Iterable[RuleGroupSettings]) -> list[Written]:
    """What is written by more than one rule of these groups: name and labels, in order."""
    written = Counter(
        (rule.record or rule.alert, Labels({**group.labels, **rule.labels})) for group in groups for rule in group.rules
    )
    return sorted((name for name, count in written.items() if count > 1), key=lambda one: (one[0], one[1].pairs))
