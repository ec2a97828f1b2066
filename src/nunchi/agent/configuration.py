"""All of an agent's files read as one: `nunchi-agent.yaml` and `conf.d/*.yaml`, validated whole before anybody hears of it.

A file of conf.d is named by its check: `postgres.yaml` has `init_config` (what all instances share) and `instances`. Of
`cpu.yaml` and `cpu.yaml.default` the first counts; anything else, `cpu.yaml.example` among it, is not read.
Invariant: a configuration is complete and consistent, or it is one SettingsError with its place and cure.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from nunchi.agent.check import Check
from nunchi.agent.check_process import UserChecks
from nunchi.agent.check_settings import CheckSettings, check_fault
from nunchi.agent.checks import CHECKS
from nunchi.agent.likeness import require_apart
from nunchi.agent.references import References
from nunchi.agent.runtime_settings import RUNTIME_FILE, overlay
from nunchi.agent.settings import AgentSettings
from nunchi.kit.settings import Place, SettingsError, read_text
from nunchi.kit.settings.conversion import Conversion
from nunchi.kit.settings.yaml_nodes import Mapping as MappingNode
from nunchi.kit.settings.yaml_nodes import Node, compose
from nunchi.kit.settings.yaml_nodes import Sequence as SequenceNode

SETTINGS_FILE = "nunchi-agent.yaml"
INSTANCES_FOLDER = "conf.d"
CHECKS_FOLDER = "checks.d"
ACTIVE_SUFFIX, DEFAULT_SUFFIX, EXAMPLE_SUFFIX = ".yaml", ".yaml.default", ".yaml.example"
OTHER_SUFFIX = ".yml"
INSTANCES_MAX = 1000

Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """One use of a check. Equal ones are the same: a reload leaves them alone."""

    check: type[Check]
    settings: CheckSettings
    interval_seconds: float
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class AgentConfiguration:
    """What the files say. `references` are the files that they refer to."""

    settings: AgentSettings
    instances: tuple[InstanceSettings, ...]
    references: tuple[Path, ...] = ()


class InstancesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of conf.d, as far as all have it alike."""

    init_config: dict[str, Any] = {}
    instances: list[dict[str, Any]] | None = None


def configuration_of(settings: AgentSettings) -> AgentConfiguration:
    """The configuration of a main file alone: one instance of every check that is enabled."""
    types = {check.name: check for check in CHECKS}
    return AgentConfiguration(
        settings, tuple(instance_of(types[name], own, settings) for name, own in settings.check_settings())
    )


def instance_of(check: type[Check], own: CheckSettings, settings: AgentSettings) -> InstanceSettings:
    """One instance, its interval and deadline worked out."""
    return InstanceSettings(check, own, settings.interval_seconds(own), settings.deadline_seconds(own))


class ConfigurationFolder:
    """Where the files are; what is not there counts as empty."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        state_folder: Path | None = None,
        checks: Sequence[type[Check]] = CHECKS,
    ) -> None:
        """`state_folder` takes the place of the default one."""
        self.folder = folder
        self._environment = environment
        self._state_folder = state_folder
        self._built_in = {check.name: check for check in checks}
        self._checks = dict(self._built_in)
        self._runtime_file = folder / RUNTIME_FILE
        self._user_checks = UserChecks(folder / CHECKS_FOLDER)

    def load(self) -> AgentConfiguration:
        """Read everything. Raises SettingsError."""
        references: list[Path] = []
        path = self.folder / SETTINGS_FILE
        for name in (INSTANCES_FOLDER, CHECKS_FOLDER):
            if (self.folder / name).exists() and not (self.folder / name).is_dir():
                raise SettingsError(str(self.folder / name), None, "a file, where a folder is expected: move it away")
        settings = self._load_main(path, references) if self.has_main() else AgentSettings()
        if self._state_folder is not None and settings.state_folder == AgentSettings().state_folder:
            settings = msgspec.structs.replace(settings, state_folder=str(self._state_folder))
        settings = overlay(settings, self.folder / settings.state_folder)
        self._runtime_file = self.folder / settings.state_folder / RUNTIME_FILE
        own_checks = self._user_checks.load(frozenset(self._built_in))
        self._checks = {**self._built_in, **own_checks}
        files = self._instance_files()
        instances = []
        for name, own in settings.check_settings():
            if name not in files and name in self._checks:
                instances.append(instance_of(self._checks[name], own, settings))
        for name, check in own_checks.items():
            if name not in files:
                instances.append(instance_of(check, check.settings_type(), settings))
        for name, file in files.items():
            self._check_said_once(name, file, settings)
            found = self._load_instances(file, self._checks[name], references)
            require_apart(file, self._checks[name], found)
            instances += [instance_of(self._checks[name], own, settings) for own in found if own.enabled]
        if len(instances) > INSTANCES_MAX:
            raise SettingsError(str(self.folder), None, f"{len(instances)} instances are more than {INSTANCES_MAX}")
        return AgentConfiguration(settings, tuple(instances), tuple(references))

    def has_main(self) -> bool:
        """Whether there is a main file, be it a link that leads nowhere; without one the defaults hold."""
        return os.path.lexists(self.folder / SETTINGS_FILE)

    def load_file(self, path: Path, check: str, settings: AgentSettings) -> list[InstanceSettings]:
        """The instances that a file of conf.d would make, wherever it is. Raises SettingsError."""
        if check not in self._checks:
            raise SettingsError(str(path), None, _unknown_check(check, self._checks))
        found = self._load_instances(path, self._checks[check], [])
        return [instance_of(self._checks[check], own, settings) for own in found]

    def check(self, name: str) -> type[Check]:
        """A check by its name, built in or of checks.d. Raises SettingsError."""
        if name not in self._checks:
            raise SettingsError(str(self.folder), None, _unknown_check(name, self._checks))
        return self._checks[name]

    def stamp(self, references: Sequence[Path] = ()) -> Stamp:
        """Changes when a file does, or one comes or goes."""
        folder = self.folder / INSTANCES_FOLDER
        paths = [self.folder / SETTINGS_FILE, folder, self._runtime_file, *references, *self._user_checks.files()]
        if folder.is_dir():
            paths += sorted(folder.iterdir())
        stamps = []
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue
            stamps.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(stamps)

    def _load_main(self, path: Path, references: list[Path]) -> AgentSettings:
        return Conversion(str(path), {}).struct(self._compose(path, references), AgentSettings)

    def _compose(self, path: Path, references: list[Path]) -> Node:
        root = compose(read_text(path), str(path)) or MappingNode(Place(1, 1))
        own = References(path, self._environment)
        own.expand(root)
        references += own.files
        return root

    def _instance_files(self) -> dict[str, Path]:
        """The file of each check that has one."""
        folder = self.folder / INSTANCES_FOLDER
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        files = {}
        for suffix in (DEFAULT_SUFFIX, ACTIVE_SUFFIX):
            for name in names:
                if name.endswith(suffix) and not name.startswith("."):
                    check = name.removesuffix(suffix)
                    if check not in self._checks:
                        raise SettingsError(str(folder / name), None, _unknown_check(check, self._checks))
                    files[check] = folder / name
        return files

    @staticmethod
    def _check_said_once(name: str, path: Path, settings: AgentSettings) -> None:
        said = getattr(settings.checks, name, None)
        if said is not None and said != getattr(AgentSettings().checks, name):
            raise SettingsError(
                str(path), None, f"{name} is set under checks in {SETTINGS_FILE} too: keep one of the two"
            )

    def _load_instances(self, path: Path, check: type[Check], references: list[Path]) -> list[CheckSettings]:
        root = self._compose(path, references)
        conversion = Conversion(str(path), {})
        conversion.struct(root, InstancesFile)
        assert isinstance(root, MappingNode)
        shared, listed = _entry(root, "init_config"), _entry(root, "instances")
        by_itself = shared or MappingNode(Place(1, 1))
        nodes = [by_itself]
        if isinstance(listed, SequenceNode):
            conversion.struct(
                by_itself, check.settings_type
            )  # a mistake in what is shared is one also without instances
            nodes = [_joined(shared, one) for one in listed.items]
        return [_checked(conversion.struct(node, check.settings_type), node, path) for node in nodes]

    def unread(self) -> list[Path]:
        """Files where settings stand that nobody reads, by their names: of whoever wrote them they are a mistake."""
        folder, suffixes = self.folder / INSTANCES_FOLDER, (ACTIVE_SUFFIX, DEFAULT_SUFFIX, EXAMPLE_SUFFIX)
        found = [path for path in sorted(folder.iterdir()) if path.is_file()] if folder.is_dir() else []
        main = (self.folder / SETTINGS_FILE).with_suffix(OTHER_SUFFIX)
        return [
            *([main] if main.exists() else []),
            *(path for path in found if not path.name.startswith(".") and not path.name.endswith(suffixes)),
        ]


def _checked(own: CheckSettings, node: Node, path: Path) -> CheckSettings:
    """An instance whose settings can be, as far as all checks have them alike. Raises SettingsError."""
    fault = check_fault(own)
    if fault is None:
        return own
    entry = _entry(node, fault[0]) if isinstance(node, MappingNode) else None
    raise SettingsError(str(path), (entry or node).place, fault[1])


def _entry(root: MappingNode, key: str) -> Node | None:
    return root.entries[key][1] if key in root.entries else None


def _joined(shared: Node | None, own: Node) -> Node:
    """An instance with what all share, its own word last."""
    if not isinstance(shared, MappingNode) or not isinstance(own, MappingNode):
        return own
    return MappingNode(own.place, entries={**shared.entries, **own.entries})


def _unknown_check(name: str, known: Mapping[str, object]) -> str:
    import difflib  # only errors need it

    near = difflib.get_close_matches(name, known, n=1)
    cure = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(sorted(known))}"
    return f'there is no check "{name}"; {cure}'
