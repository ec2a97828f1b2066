"""From what the settings say to objects that run: check instances, and what becomes of them when the settings change.

Invariant: an instance whose settings are the same after a change is the same object: it keeps its counters, its name, its turn.
"""

from collections.abc import Sequence

from nunchi.agent.configuration import InstanceSettings
from nunchi.agent.schedule import CheckInstance
from nunchi.kit.errors import InputError


class Instances:
    """The instances in force, and the next ones made of them. `always` are those that no check settings speak of."""

    def __init__(self) -> None:
        self.always: tuple[CheckInstance, ...] = ()
        self._known: list[tuple[InstanceSettings, CheckInstance]] = []

    def plan(self, wanted: Sequence[InstanceSettings]) -> list[tuple[InstanceSettings, CheckInstance]]:
        """What would run by these settings; nothing has changed yet. Raises InputError where a check cannot be made."""
        spare = list(self._known)
        found: list[tuple[InstanceSettings, CheckInstance | None]] = []
        for settings in wanted:
            known = next((pair for pair in spare if pair[0] == settings), None)
            if known is not None:
                spare.remove(known)
            found.append((settings, known[1] if known else None))
        counts = {name: sum(one.check.name == name for one in wanted) for name in {one.check.name for one in wanted}}
        taken = {instance.name for _, instance in found if instance is not None}
        planned = []
        for settings, instance in found:
            name = settings.check.name
            if instance is None:
                instance = make_instance(settings, free_name(name, taken, is_only=counts[name] == 1))  # noqa: PLW2901
                taken.add(instance.name)
            planned.append((settings, instance))
        return planned

    def take(self, planned: Sequence[tuple[InstanceSettings, CheckInstance]]) -> list[CheckInstance]:
        """These are in force from now on."""
        self._known = list(planned)
        return [*(instance for _, instance in planned), *self.always]


def make_instance(settings: InstanceSettings, name: str) -> CheckInstance:
    """A new object of the check. Raises InputError."""
    try:
        check = settings.check(settings.settings)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error
    return CheckInstance(name, check, settings.interval_seconds, settings.deadline_seconds)


def free_name(check: str, taken: set[str], *, is_only: bool) -> str:
    """`cpu` for the only instance of a check; of several, `http/1`, `http/2`, the lowest that is free."""
    if is_only and check not in taken:
        return check
    return next(name for number in range(1, len(taken) + 2) if (name := f"{check}/{number}") not in taken)
