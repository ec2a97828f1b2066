"""The route tree: which receivers an alert goes to, and how it is grouped and timed there.

Invariant: matching is depth first, left to right; a route's key depends only on the matchers on the way to it, its id also
on its place, so that keys survive a reordering of siblings and ids are unique.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from nunchi.model.labels import Labels
from nunchi.model.matchers import Matcher, all_match
from nunchi.notify.matchers import format_matchers, make_matcher, parse_matchers
from nunchi.notify.settings import GROUP_BY_ALL, RouteSettings

GROUP_WAIT_MS = 30_000
GROUP_INTERVAL_MS = 300_000
REPEAT_INTERVAL_MS = 4 * 3_600_000


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """What counts for the alerts of one route. `group_by` None means all labels."""

    receiver: str
    group_by: frozenset[str] | None
    group_wait_ms: int
    group_interval_ms: int
    repeat_interval_ms: int
    mute_time_intervals: tuple[str, ...]
    active_time_intervals: tuple[str, ...]


ROOT_OPTIONS = RouteOptions("", frozenset(), GROUP_WAIT_MS, GROUP_INTERVAL_MS, REPEAT_INTERVAL_MS, (), ())


@dataclass(frozen=True, slots=True)
class Route:
    """One node with its options resolved."""

    key: str
    id: str
    options: RouteOptions
    matchers: tuple[Matcher, ...]
    continues: bool
    children: tuple["Route", ...]

    def match(self, labels: Labels) -> "list[Route]":
        """The routes that an alert takes: the deepest that match; empty where this one does not."""
        if not all_match(self.matchers, labels):
            return []
        found: list[Route] = []
        for child in self.children:
            matched = child.match(labels)
            found += matched
            if matched and not child.continues:
                break
        return found or [self]

    def group_labels(self, labels: Labels) -> Labels:
        """The labels that decide in which group an alert is."""
        if self.options.group_by is None:
            return labels
        return labels.keep(*self.options.group_by)

    def walk(self) -> Iterator["Route"]:
        """The route and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def build_routes(root: RouteSettings) -> Route:
    """The tree of settings with every inherited value in place."""
    return _build(root, ROOT_OPTIONS, "", "", 0)


def _build(settings: RouteSettings, parent: RouteOptions, parent_key: str, parent_id: str, place: int) -> Route:
    matchers = tuple(_matchers(settings))
    own = format_matchers(list(matchers))
    key = f"{parent_key}/{own}" if parent_key else own
    identity = f"{parent_id}/{own}/{place}" if parent_id else own
    options = _options(settings, parent)
    children = tuple(_build(child, options, key, identity, at) for at, child in enumerate(settings.routes))
    return Route(key, identity, options, matchers, settings.continue_, children)


def _matchers(settings: RouteSettings) -> list[Matcher]:
    found = matchers_of(settings.match, settings.match_re, settings.matchers)
    return sorted(found, key=lambda matcher: (matcher.name, matcher.value, matcher.operator.value))


def matchers_of(equal: dict[str, str], regex: dict[str, str], texts: tuple[str, ...]) -> list[Matcher]:
    """The matchers of the three ways to write them."""
    found = [make_matcher(name, "=", value) for name, value in equal.items()]
    found += [make_matcher(name, "=~", f"^(?:{value})$") for name, value in regex.items()]
    for text in texts:
        found += parse_matchers(text)
    return found


def _options(settings: RouteSettings, parent: RouteOptions) -> RouteOptions:
    group_by = parent.group_by
    if settings.group_by is not None:
        group_by = None if settings.group_by == (GROUP_BY_ALL,) else frozenset(settings.group_by)
    return RouteOptions(
        settings.receiver or parent.receiver,
        group_by,
        settings.group_wait.ms if settings.group_wait is not None else parent.group_wait_ms,
        settings.group_interval.ms if settings.group_interval else parent.group_interval_ms,
        settings.repeat_interval.ms if settings.repeat_interval else parent.repeat_interval_ms,
        settings.mute_time_intervals,
        settings.active_time_intervals,
    )
