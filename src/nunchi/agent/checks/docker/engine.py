"""Facts of the engine under the names of its own `metrics-addr`, and its images."""

from collections.abc import Mapping, Sequence
from typing import Any

from nunchi.agent.emission import Emission

STATES = ("paused", "running", "stopped")


def emit_engine(emit: Emission, info: Mapping[str, Any], version: Mapping[str, Any]) -> None:
    """What `/info` and `/version` say."""
    emit.gauge(
        "engine_daemon_engine_info",
        1,
        architecture=str(info.get("Architecture", "")),
        commit=str(version.get("GitCommit", "")),
        daemon_id=str(info.get("ID", "")),
        graphdriver=str(info.get("Driver", "")),
        kernel=str(info.get("KernelVersion", "")),
        os=str(info.get("OperatingSystem", "")),
        os_type=str(info.get("OSType", "")),
        os_version=str(info.get("OSVersion", "")),
        version=str(info.get("ServerVersion", "")),
    )
    emit.gauge("engine_daemon_engine_cpus_cpus", float(info["NCPU"]))
    emit.gauge("engine_daemon_engine_memory_bytes", float(info["MemTotal"]))
    for state in STATES:
        emit.gauge("engine_daemon_container_states_containers", float(info[f"Containers{state.title()}"]), state=state)
    emit.gauge("docker_images", float(info.get("Images") or 0))


def emit_images(emit: Emission, images: Sequence[Mapping[str, Any]]) -> None:
    """How many images there are, and what they take. Layers that images share count in each."""
    named = [image for image in images if any("<none>" not in tag for tag in image.get("RepoTags") or ())]
    emit.gauge("docker_images_named", len(named))
    emit.gauge("docker_images_intermediate", len(images) - len(named))
    for image in named:
        emit.gauge("docker_image_size_bytes", float(image.get("Size") or 0), image=str(image["RepoTags"][0]))
