"""Which resource a series, or an ARN, is about.

A dimension set belongs to the resource that the largest of its service's patterns names. Pure.
"""

from collections.abc import Iterable

from nunchi.agent.clippers.aws.services import BY_NAMESPACE
from nunchi.agent.cloud.exchange import Dimensions, Resource


def namespace_of(arn: str, wanted: Iterable[str]) -> str:
    """Which of the wanted namespaces a resource belongs to; empty where it belongs to none."""
    parts = arn.split(":", 5)
    for namespace in wanted:
        known = BY_NAMESPACE.get(namespace)
        if known is None or len(parts) < 6:
            continue
        is_kind = any(one.partition(":")[0] == parts[2] for one in known.filters)
        if is_kind and any(pattern.search(arn) for _, pattern in known.patterns):
            return namespace
    return ""


class Association:
    """Finds the resource that a dimension set is about."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources: dict[tuple[str, Dimensions], Resource] = {}
        for resource in resources:
            known = BY_NAMESPACE.get(resource.namespace)
            for names, pattern in known.patterns if known else ():
                match = pattern.search(resource.id)
                if match:
                    dimensions = tuple(sorted(zip(names, match.groups(), strict=True)))
                    self._resources[resource.namespace, dimensions] = resource

    def find(self, namespace: str, dimensions: Dimensions) -> Resource | None:
        """The resource, by the largest pattern whose dimensions are all there."""
        known = BY_NAMESPACE.get(namespace)
        own = dict(dimensions)
        for names, _ in sorted(known.patterns, key=lambda one: -len(one[0])) if known else ():
            if all(name in own for name in names):
                found = self._resources.get((namespace, tuple(sorted((name, own[name]) for name in names))))
                if found is not None:
                    return found
        return None
