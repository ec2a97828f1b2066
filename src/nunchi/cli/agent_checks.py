"""`nunchi agent check` and `nunchi agent new-check`: trying a check, and beginning one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from nunchi.agent.check_process import ProcessCheck
from nunchi.agent.check_settings import check_fault
from nunchi.agent.check_telemetry import CheckTelemetry
from nunchi.agent.configuration import CHECKS_FOLDER, ConfigurationFolder, InstanceSettings, instance_of
from nunchi.agent.exporter import merge_families
from nunchi.agent.instances import Instances
from nunchi.agent.root import Root
from nunchi.agent.schedule import CheckInstance, Outcome, Schedule
from nunchi.agent.settings import AgentSettings
from nunchi.agent.threads import DaemonThreads, ThreadRunner
from nunchi.kit import logs
from nunchi.kit.clock import SystemClock
from nunchi.kit.disk import Disk
from nunchi.kit.errors import InputError, WorldError
from nunchi.kit.telemetry import Telemetry
from nunchi.wire.exposition_text import format_families

PAUSE_SECONDS = 1.0
THREADS_MAX = 8
LOG_AREA = "agent.trial"

CHECK = '''"""{title}, in metrics."""

from pathlib import Path

from nunchi.agent.check import Check, Context


class {type}(Check):
    """`{name}_files`: entries of a folder. Say here what it shows instead."""

    name = "{name}"

    def run(self, context: Context) -> None:
        """See `Check.run`."""
        context.emit.gauge("{name}_files", len(list(Path("/tmp").iterdir())), folder="/tmp")
'''
TEST = '''"""Run with: pytest {test}"""

from pathlib import Path

from nunchi.agent.check_child import ChildRequest, load_check, run_check


def test_{name}_shows_what_it_found() -> None:
    check = load_check(Path(__file__).with_name("{name}.py"), {{}})
    answer = run_check(check, ChildRequest(5.0, ("/proc", "/sys", "/", "/run/udev/data")))
    assert answer.error == ""
    assert [name for name, _, _ in answer.samples] == ["{name}_files"]
'''


class CheckFailedError(WorldError):
    """A check that was tried has failed; its reason was printed."""


def try_check(source: ConfigurationFolder, settings: AgentSettings, name: str, file: Path | None) -> str:
    """Run a check twice, as configured or as a file says, and return the second run's exposition."""
    instances = wanted_instances(source, settings, name, file)
    planned = [instance for _, instance in Instances().plan(instances)]
    outcomes, text = asyncio.run(_run_twice(planned, settings))
    failed = [
        f"{one.name}: {one.last_error or 'missed its deadline'}"
        for one, outcome in zip(planned, outcomes, strict=True)
        if not outcome.is_success
    ]
    if failed:
        click.echo(text, nl=False)
        raise CheckFailedError("; ".join(failed))
    return text


def wanted_instances(
    source: ConfigurationFolder, settings: AgentSettings, name: str, file: Path | None
) -> Sequence[InstanceSettings]:
    """Those of the file; else those that are configured; else one with the check's defaults."""
    configured = source.load().instances
    if file is not None:
        return source.load_file(file, name, settings)
    found = [one for one in configured if one.check.name == name]
    check = source.check(name)
    own = check.settings_type()
    if not found and (fault := check_fault(own)):
        raise InputError(f"{name}: {fault[1]}, in conf.d/{name}.yaml or in a file given with -c")
    return found or [instance_of(check, own, settings)]


async def _run_twice(planned: list[CheckInstance], settings: AgentSettings) -> tuple[list[Outcome], str]:
    clock = SystemClock()
    root = Root(**{name: getattr(settings.paths, name) for name in ("proc", "sys", "rootfs", "udev")})
    runner = ThreadRunner(DaemonThreads("check", clock, THREADS_MAX))
    telemetry = CheckTelemetry(Telemetry())
    logs.set_area_level(LOG_AREA, "error")  # what fails is the answer
    schedule = Schedule(planned, None, runner, root, clock, telemetry, logs.logger(LOG_AREA))
    await schedule.start()
    await schedule.collect()
    await clock.sleep(PAUSE_SECONDS)
    outcomes = await schedule.collect()
    await schedule.stop()
    return outcomes, format_families(merge_families(outcomes)).decode()


def require_own_checks(planned: Sequence[CheckInstance]) -> None:
    """The files of checks.d, with the options that they are given, are checks. Raises InputError."""
    clock = SystemClock()
    faults = [one.check.fault(clock) for one in planned if isinstance(one.check, ProcessCheck)]
    if any(faults):
        raise InputError("\n".join(fault for fault in faults if fault))


def make_check(folder: Path, name: str, disk: Disk) -> tuple[Path, Path]:
    """Write a working check and its test below the agent's folder; InputError where there is one, or no good name."""
    if not name.isidentifier() or name != name.lower() or name.startswith(("_", "test_")):
        raise InputError(f"{name!r} cannot be a check's name: use lower-case letters, digits and _")
    checks = folder / CHECKS_FOLDER
    check, test = checks / f"{name}.py", checks / f"test_{name}.py"
    for path in (check, test):
        if path.exists():
            raise InputError(f"{path} is there already: choose another name")
    type_ = "".join(word.title() for word in name.split("_")) + "Check"
    disk.make_folder(checks)
    disk.write_atomically(
        check, CHECK.format(name=name, type=type_, title=name.replace("_", " ").capitalize()).encode()
    )
    disk.write_atomically(test, TEST.format(name=name, test=test).encode())
    return check, test
