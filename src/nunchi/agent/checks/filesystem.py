"""Sizes of mounted file systems. A mount that does not answer is shown as `node_filesystem_device_error` 1, without sizes."""

import os
import re

from nunchi.agent.check import Check, Context
from nunchi.agent.check_settings import CheckSettings
from nunchi.agent.mounts import Mount, MountReader, read_mounts
from nunchi.agent.patterns import compile_pattern

MOUNT_POINTS_EXCLUDE = r"^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
FS_TYPES_EXCLUDE = (
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc"
    "|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$"
)
MOUNT_TIMEOUT_SECONDS = 2.0
DEADLINE_SHARE = 0.5  # of the run's deadline may go into waiting for mounts


class FilesystemSettings(CheckSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which mounts are passed over, and how long one may take to answer."""

    mount_points_exclude: str = MOUNT_POINTS_EXCLUDE
    fs_types_exclude: str = FS_TYPES_EXCLUDE

    def __post_init__(self) -> None:
        compile_pattern("mount_points_exclude", self.mount_points_exclude)
        compile_pattern("fs_types_exclude", self.fs_types_exclude)


class FilesystemCheck(Check):
    """`node_filesystem_*`."""

    name = "filesystem"
    settings_type = FilesystemSettings

    def __init__(self, settings: FilesystemSettings, mounts: MountReader | None = None) -> None:
        super().__init__(settings)
        self._mount_points_exclude = re.compile(settings.mount_points_exclude)
        self._fs_types_exclude = re.compile(settings.fs_types_exclude)
        self._reader = mounts

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        if self._reader is None:
            self._reader = MountReader(context.clock)
        mounts = [mount for mount in read_mounts(context.root) if not self._is_excluded(mount)]
        paths = {mount.mountpoint: context.root.host_path(mount.mountpoint) for mount in mounts}
        timeout_seconds = min(MOUNT_TIMEOUT_SECONDS, context.deadline_seconds * DEADLINE_SHARE)
        answers = self._reader.read(paths.values(), timeout_seconds)
        shown: set[Mount] = set()
        for mount in mounts:
            if mount not in shown:
                shown.add(mount)
                emit_mount(context, mount, answers[paths[mount.mountpoint]])

    def _is_excluded(self, mount: Mount) -> bool:
        return bool(self._mount_points_exclude.search(mount.mountpoint) or self._fs_types_exclude.search(mount.fstype))


def emit_mount(context: Context, mount: Mount, answer: os.statvfs_result | str) -> None:
    """The samples of one mount."""
    emit = context.emit
    error = answer if isinstance(answer, str) else ""
    labels = {"device": mount.device, "fstype": mount.fstype, "mountpoint": mount.mountpoint, "device_error": error}
    emit.gauge("node_filesystem_device_error", 1 if error else 0, **labels)
    emit.gauge("node_filesystem_readonly", 1 if mount.is_readonly else 0, **labels)
    if isinstance(answer, str):
        return
    emit.gauge("node_filesystem_size_bytes", answer.f_blocks * answer.f_frsize, **labels)
    emit.gauge("node_filesystem_free_bytes", answer.f_bfree * answer.f_frsize, **labels)
    emit.gauge("node_filesystem_avail_bytes", answer.f_bavail * answer.f_frsize, **labels)
    emit.gauge("node_filesystem_files", answer.f_files, **labels)
    emit.gauge("node_filesystem_files_free", answer.f_ffree, **labels)
    emit.gauge(
        "node_filesystem_mount_info",
        1,
        device=mount.device,
        major=mount.major,
        minor=mount.minor,
        mountpoint=mount.mountpoint,
    )
