"""What settings ask of an agent beside its checks, tried as far as that goes without beginning any of it.

Invariant: settings of which nothing is said here that is wrong are settings with which these parts begin.
"""

from collections.abc import Iterator
from pathlib import Path

from nunchi.agent.settings import AgentSettings
from nunchi.agent.udp_wiring import read_key
from nunchi.kit.disk import Disk


def describe_plans(settings: AgentSettings, folder: Path, disk: Disk) -> Iterator[str]:
    """One line a part. Raises InputError, or what else the part would raise, where it could not begin."""
    if settings.statsd is not None:
        from nunchi.agent.statsd.listeners import wanted_sockets
        from nunchi.agent.statsd.mapping import Mapping
        from nunchi.agent.statsd.statsd import load_mapping

        rules = load_mapping(settings.statsd, folder)
        Mapping(rules)
        places = ", ".join(f"{one.kind} {one.address}" for one in wanted_sockets(settings.statsd))
        yield f"listens for StatsD at: {places or 'nothing'}; mapping rules: {len(rules.mappings)}"
    if settings.udp is not None:
        from nunchi.wire.pack_seal import PackMode, check_mode

        check_mode(PackMode(settings.udp.mode))
        has_own_key = bool(read_key(settings.udp, folder, disk))
        key = "a key of its own" if has_own_key else "the key that it got when it joined"
        yield f"sends rounds as packs first to: {settings.udp.address}, {settings.udp.mode}, with {key}"
    if settings.scouter is not None:
        yield f"sends Scouter packs to: {settings.scouter.address}"
    if settings.cloud is not None:
        known = ", ".join(sorted(settings.cloud.aws.credentials)) or "those of its surroundings alone"
        asked = "the server keeps" if settings.cloud.source == "server" else "is posted to its API"
        yield f"watches the clouds that {asked}; credentials: {known}"
