"""Control groups by their paths, under cAdvisor's names: systemd's services, pods, whatever is not a Docker container."""

import os
import re
from collections.abc import Iterator

from nunchi.agent.cgroups import FOLDER, cgroup_at, emit_cgroup, is_unified
from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.errors import Unavailable
from nunchi.agent.patterns import compile_pattern
from nunchi.agent.root import Root

INCLUDE = r"^/$|^/[^/]+\.slice$|^/system\.slice/[^/]+\.service$"
GROUPS_MAX = 500
VISITED_MAX = 20_000


class CgroupSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`include`: paths of the groups that are shown; `depth_max`: how far below the top they are looked for."""

    include: str = INCLUDE
    depth_max: int = 4
    groups_max: int = GROUPS_MAX

    def __post_init__(self) -> None:
        compile_pattern("include", self.include)


class CgroupCheck(Check):
    """`container_*` with the label `id`; `container_cgroups_omitted` counts what is beyond `groups_max`."""

    name = "cgroup"
    job = "cgroup"
    settings_type = CgroupSettings
    is_default = False

    def __init__(self, settings: CgroupSettings) -> None:
        super().__init__(settings)
        self._include = re.compile(settings.include)
        self._depth_max = settings.depth_max
        self._groups_max = settings.groups_max

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        paths = [path for path in walk(context.root, self._depth_max) if self._include.search(path)]
        if not paths:
            raise Unavailable(
                f"no control group below {context.root.sys}/{FOLDER} matches include: {self._include.pattern}"
            )
        for path in paths[: self._groups_max]:
            group = "" if path == "/" else path
            emit_cgroup(context.emit, context.root, cgroup_at(context.root, group), {"id": path})
        context.emit.gauge("container_cgroups_omitted", max(0, len(paths) - self._groups_max))


def walk(root: Root, depth_max: int) -> Iterator[str]:
    """Paths of groups, parents first; of version 1 those of the memory controller."""
    top = f"{root.sys}/{FOLDER}" if is_unified(root) else f"{root.sys}/{FOLDER}/memory"
    pending, visited = [("", 0)], 0
    while pending and visited < VISITED_MAX:
        path, depth = pending.pop(0)
        visited += 1
        yield path or "/"
        if depth < depth_max:
            pending += [(f"{path}/{name}", depth + 1) for name in folder_names(top + path)]


def folder_names(path: str) -> list[str]:
    """The folders in a folder, sorted; none where it is gone."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
