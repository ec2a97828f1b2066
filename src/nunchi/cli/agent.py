"""`nunchi agent`. Imports nothing of the server."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom
from typing import Any

import click
import msgspec

from nunchi.agent.api import TOKEN_FILE, URL_FILE
from nunchi.agent.configuration import SETTINGS_FILE, AgentConfiguration, ConfigurationFolder
from nunchi.agent.identity import load_id
from nunchi.agent.instances import Instances
from nunchi.agent.keys import join as join_server
from nunchi.agent.log_file import LogFile, write_into
from nunchi.agent.plans import describe_plans
from nunchi.agent.process import (
    LOG_FILE,
    ProcessError,
    find_process,
    lock_process,
    note_ready,
    start_process,
    stop_process,
)
from nunchi.agent.program import AgentProgram
from nunchi.agent.root import Root
from nunchi.agent.server_link import HttpLink
from nunchi.agent.settings import STATE_FOLDER
from nunchi.agent.wiring import build_agent
from nunchi.agent.world import World
from nunchi.cli.agent_checks import make_check, require_own_checks, try_check
from nunchi.kit import logs
from nunchi.kit.clock import SystemClock
from nunchi.kit.disk import DiskError, DiskLock
from nunchi.kit.errors import InputError
from nunchi.kit.http_client import HttpClient, HttpClientSettings
from nunchi.kit.program import run_to_exit, run_until_signal
from nunchi.kit.secrets import Secret
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.kit.tls import TlsClientSettings

DEFAULT_FOLDER = Path("/etc/nunchi-agent")
STATUS_BYTES_MAX = 16 << 20
LEVEL_HELP = "Least level to log."
FORM_HELP = "Form of log lines."

with_home = click.option(
    "--home",
    envvar="NUNCHI_AGENT_HOME",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of settings and state.  [default: /etc/nunchi-agent, state in /var/lib/nunchi-agent]",
)


def with_log_flags(function: Callable[..., None]) -> Callable[..., None]:
    """The flags of the log."""
    levels, forms = click.Choice(list(logs.LEVELS)), click.Choice(["logfmt", "json"])
    level = click.option("--log.level", "log_level", type=levels, default="info", show_default=True, help=LEVEL_HELP)
    form = click.option("--log.format", "log_format", type=forms, default="logfmt", show_default=True, help=FORM_HELP)
    return level(form(function))


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent has its files, and what they say now."""

    source: ConfigurationFolder
    configuration: AgentConfiguration

    @property
    def folder(self) -> Path:
        """The folder of settings."""
        return self.source.folder

    @property
    def state_folder(self) -> Path:
        """The folder of what the agent keeps."""
        return self.folder / self.configuration.settings.state_folder


def place_of(home: Path | None) -> Place:
    """Read the settings. Raises SettingsError."""
    folder = (home or DEFAULT_FOLDER).resolve()
    source = ConfigurationFolder(folder, os.environ, state_folder=home and folder)
    return Place(source, source.load())


def state_folder_of(home: Path | None) -> Path:
    """Where the agent of this folder keeps its state, also while its settings are broken."""
    try:
        return place_of(home).state_folder
    except InputError:
        return home.resolve() if home is not None else Path(STATE_FOLDER)


@click.group(name="agent")
def command() -> None:
    """Watch this host and deliver to a server."""


@command.command()
@with_home
@click.option("--plugin-filter", default="", help="Run these checks only, named with commas or colons between them.")
@click.option(
    "--log.file",
    "log_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the log into this file, bounded by log in the settings.  [default: standard error]",
)
@with_log_flags
def run(
    home: Path | None, plugin_filter: str, log_file: Path | None, log_level: str, log_format: logs.LogFormat
) -> None:
    """Run in the foreground. Without settings: the host checks every 10 s, delivered to 127.0.0.1:9190."""
    if log_file is not None:
        try:
            write_into(log_file)
        except OSError as error:
            raise InputError(f"--log.file: {error}") from error
    logs.configure(log_level, log_format)
    run_to_exit(_run(home, plugin_filter, log_file))


async def _run(home: Path | None, plugin_filter: str, log_file: Path | None) -> None:
    log, disk = logs.logger("agent"), SystemDisk()
    clock, random = SystemClock(), SystemRandom()
    place = place_of(home)
    configuration = filtered(place.configuration, plugin_filter)
    for path in place.source.unread():
        log.warning("a file is not read: files of settings end in .yaml", path=path)
    lock: DiskLock | None = await lock_process(place.state_folder, disk, clock, log)
    try:
        world = World(clock, random, disk, Telemetry(), log, place.folder, os.environ)
        agent = build_agent(configuration, world, source=None if plugin_filter else place.source)
        settings = configuration.settings
        target = settings.server.url if settings.server.enabled else "nobody"

        def announce() -> None:
            log.info("running", name=agent.identity.name, id=agent.identity.id, delivers_to=target)
            note_ready(place.state_folder, disk, log)

        others = [] if log_file is None else [LogFile(log_file, lambda: agent.configuration.settings.log, clock, log)]
        await run_until_signal(
            AgentProgram(agent, clock, random, log, others),
            log,
            announce=announce,
            reload=agent.reload,
        )
    finally:
        if lock is not None:
            lock.release()


def filtered(configuration: AgentConfiguration, plugin_filter: str) -> AgentConfiguration:
    """Only the instances of these checks. Raises InputError for one that is not there."""
    wanted = set(plugin_filter.replace(":", ",").split(",")) - {""}
    known = {one.check.name for one in configuration.instances}
    if not wanted:
        return configuration
    if wanted - known:
        missing = ", ".join(sorted(wanted - known))
        raise InputError(
            f"--plugin-filter: no instance of {missing} is configured; these are: {', '.join(sorted(known))}"
        )
    return replace(configuration, instances=tuple(one for one in configuration.instances if one.check.name in wanted))


@command.command(short_help="Run in the background.")
@with_home
@with_log_flags
def start(home: Path | None, log_level: str, log_format: str) -> None:
    """Run in the background; its log is agent.log in the state folder."""
    place = place_of(home)
    log_file = place.state_folder.resolve() / LOG_FILE
    words = ["agent", "run", f"--log.level={log_level}", f"--log.format={log_format}", f"--log.file={log_file}"]
    if home is not None:
        words.append(f"--home={home.resolve()}")
    process = asyncio.run(start_process(words, place.state_folder, SystemDisk(), SystemClock()))
    click.echo(f"the agent runs as process {process}; its log: {log_file}")


@command.command(short_help="End the agent of this folder.")
@with_home
def stop(home: Path | None) -> None:
    """End the agent of this folder; what the server has not taken yet stays in the spool."""
    process = asyncio.run(stop_process(state_folder_of(home), SystemDisk(), SystemClock()))
    click.echo("no agent runs" if process is None else f"process {process} has ended")


@command.command()
@with_home
@click.option("--json", "as_json", is_flag=True, help="Everything, for programs.")
def status(home: Path | None, as_json: bool) -> None:
    """Say how the agent of this folder fares. Ends with 1 where none runs."""
    folder = state_folder_of(home)
    process = _running_process(folder)
    answer = asyncio.run(_ask_agent(folder, "GET", "/api/v1/status"))
    click.echo(msgspec.json.format(msgspec.json.encode(answer)).decode() if as_json else status_text(answer, process))


@command.command()
@with_home
def reload(home: Path | None) -> None:
    """Have the agent read its settings again."""
    folder = state_folder_of(home)
    _running_process(folder)
    answer = asyncio.run(_ask_agent(folder, "POST", "/api/v1/reload"))
    waiting = ", ".join(answer["waiting_for_restart"])
    click.echo("settings loaded" + (f"; these take a restart: {waiting}" if waiting else ""))


@command.command(name="test-config", short_help="Say what the settings make the agent do.")
@with_home
def test_config(home: Path | None) -> None:
    """Read the settings as the agent would, and say what they make it do."""
    place = place_of(home)
    planned = [instance for _, instance in Instances().plan(place.configuration.instances)]
    require_own_checks(planned)
    settings = place.configuration.settings
    plans = list(describe_plans(settings, place.folder, SystemDisk()))
    click.echo(f"{place.folder}: the settings are well")
    if not place.source.has_main():
        click.echo(f"there is no {SETTINGS_FILE} in it: the defaults hold")
    for path in place.source.unread():
        click.echo(f"not read: {path}: files of settings end in .yaml, and in .example what is to be left alone")
    click.echo(f"delivers to: {settings.server.url if settings.server.enabled else 'nobody'}")
    click.echo(f"runs {len(planned)} check instances: {', '.join(sorted(one.name for one in planned))}")
    for plan in plans:
        click.echo(plan)
    if settings.relay is not None:
        others = [*sorted(settings.relay.sources), *(["agents with keys"] if settings.relay.agents else [])]
        click.echo(f"relays at {settings.relay.address} for: {', '.join(others)}")


@command.command()
@with_home
@click.argument("name")
@click.option(
    "-c", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file as in conf.d, to try."
)
def check(home: Path | None, name: str, file: Path | None) -> None:
    """Run a check twice and print its samples. Ends with 1 where it fails."""
    place = place_of(home)
    click.echo(try_check(place.source, place.configuration.settings, name, file), nl=False)


@command.command(name="new-check", short_help="Make a check of one's own, and its test.")
@with_home
@click.argument("name")
def new_check(home: Path | None, name: str) -> None:
    """Make a check of one's own in checks.d, with its test, ready to run."""
    check_file, test_file = make_check((home or DEFAULT_FOLDER).resolve(), name, SystemDisk())
    click.echo(f"made {check_file} and {test_file}; try it with: nunchi agent check {name}")


@command.command(short_help="Get an id and a key of a server.")
@with_home
@click.option("--server", "url", default="", help="Address of the server.  [default: server.url of the settings]")
@click.option("--token", envvar="NUNCHI_JOIN_TOKEN", required=True, help="The join token, or @FILE that has it.")
@click.option("--name", default="", help="Name for the agent, unless the token says one.  [default: the host's]")
def join(home: Path | None, url: str, token: str, name: str) -> None:
    """Get an id and a key of a server with a join token, which is used up by it."""
    disk, log = SystemDisk(), logs.logger("agent")
    place = place_of(home)
    configured = place.configuration.settings
    server = msgspec.structs.replace(configured.server, url=url) if url else configured.server
    if token.startswith("@"):
        token = disk.read(Path(token[1:])).decode(errors="replace").strip()
    agent_id = load_id(place.state_folder, Root(), disk, SystemRandom(), log)
    link = HttpLink(server, SystemClock(), place.folder, os.environ, "nunchi-agent")

    async def ask() -> tuple[str, str]:
        try:
            joined = await join_server(
                link, token, agent_id, name or configured.name or os.uname().nodename, place.state_folder, disk
            )
            return joined.id, joined.name
        finally:
            await link.close()

    joined_id, joined_name = asyncio.run(ask())
    click.echo(f"joined {server.url} as {joined_name}, id {joined_id}")
    if server.url != configured.server.url:
        click.echo(f"now write into {place.folder / SETTINGS_FILE}:  server: {{url: {server.url}}}")
    if find_process(place.state_folder, disk) is not None:
        click.echo("an agent runs with its earlier identity: restart it")


def _running_process(folder: Path) -> int:
    """The number of the agent's process. Raises ProcessError where none runs."""
    process = find_process(folder, SystemDisk())
    if process is None:
        raise ProcessError(f"no agent runs for {folder}: start it with nunchi agent start")
    return process


async def _ask_agent(folder: Path, method: str, path: str) -> dict[str, Any]:
    """Ask the agent's own API. Raises ProcessError, HttpClientError, InputError."""
    disk = SystemDisk()
    try:
        token = disk.read(folder / TOKEN_FILE).decode().strip()
        url = disk.read(folder / URL_FILE).decode().strip()
    except DiskError as error:
        raise ProcessError(
            f"{error}: the agent's API cannot be reached, or its token belongs to another user"
        ) from error
    # The address was written by the agent of this folder, and its certificate is for others: they may call the host otherwise.
    settings = HttpClientSettings(bearer_token=Secret(token), tls_config=TlsClientSettings(insecure_skip_verify=True))
    async with HttpClient(SystemClock(), settings) as client:
        response = await client.request(method, url + path, body_bytes_max=STATUS_BYTES_MAX)
    if response.status == 401:
        raise ProcessError(f"{url} is not this agent's API: it refuses the token of {folder}")
    try:
        answer = msgspec.json.decode(response.body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ProcessError(f"{url} answers {response.status}, with a body that cannot be read") from error
    if response.status != 200:
        raise InputError(str(answer.get("error", response.status)))
    return answer


def _length_text(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def status_text(answer: dict[str, Any], process: int) -> str:
    """The status for people."""
    agent, delivery, settings = answer["agent"], answer["delivery"], answer["settings"]
    counts, spool = delivery["accounting"], delivery["spool"]
    dropped = ", ".join(f"{reason} {samples}" for reason, samples in sorted(counts["dropped"].items())) or "none"
    came = f"collected {counts['collected']}, recovered {counts['recovered']}"
    lines = [
        f"{agent['name']} ({agent['id']}), nunchi {agent['version']}, process {process}",
        f"settings: {settings['error'] or 'in force'}",
        *(f"settings that take a restart: {name}" for name in settings["waiting_for_restart"]),
        f"delivers to {delivery['url']}: {delivery['last_error'] or 'well'}",
        f"samples: {came}, acknowledged {counts['acknowledged']}, queued {counts['queued']}, dropped: {dropped}",
        f"spool: {spool['payloads']} payloads, {spool['bytes']} bytes; the server may be away for "
        f"{_length_text(spool['outage_seconds_left'])}" + (f"; {spool['disk_error']}" if spool["disk_error"] else ""),
        *(
            f"{name}: {one['url'] or 'not listening'}" + (f"; {one['last_error']}" if one["last_error"] else "")
            for name, one in sorted(answer["listeners"].items())
            if one["url"] or one["last_error"]
        ),
        "",
        *(f"{part['name']:24} {part['state']:10} {part['last_error']}".rstrip() for part in answer["parts"]),
        "",
    ]
    for check in answer["checks"]:
        state = (
            "stuck"
            if check["is_stuck"]
            else "absent"
            if check["is_absent"]
            else "failed"
            if check["last_error"]
            else "well"
        )
        lines.append(f"{check['name']:24} {state:10} {check['samples']:6} samples  {check['last_error']}".rstrip())
    return "\n".join(lines)
