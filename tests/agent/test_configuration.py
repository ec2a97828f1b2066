"""The agent's folder of settings: what counts, what is refused and how it is said, and what a change does while running."""

import os
from pathlib import Path
from random import Random

import pytest

from nunchi.agent.configuration import AgentConfiguration, ConfigurationFolder
from nunchi.agent.wiring import build_agent
from nunchi.agent.world import World
from nunchi.kit.errors import InputError
from nunchi.kit.logs import logger
from nunchi.kit.settings import SettingsError
from nunchi.kit.system_disk import SystemDisk
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.clock import VirtualClock


def write(folder: Path, **files: str) -> ConfigurationFolder:
    """Files by name; `conf_d__cpu__yaml` is conf.d/cpu.yaml."""
    for name, text in files.items():
        path = folder / name.replace("conf_d__", "conf.d/").replace("__", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    main = folder / "main"
    if main.exists():
        main.rename(folder / "nunchi-agent.yaml")
    return ConfigurationFolder(folder, {"CITY": "Seoul", "LONG": "20s"})


def named(configuration: AgentConfiguration, check: str) -> list[tuple[float, dict[str, str]]]:
    return [
        (one.interval_seconds, dict(one.settings.labels)) for one in configuration.instances if one.check.name == check
    ]


def test_an_empty_folder_runs_every_default_check_once(tmp_path: Path) -> None:
    configuration = write(tmp_path).load()
    names = [one.check.name for one in configuration.instances]
    assert len(names) == len(set(names)) > 15
    assert {"cpu", "filesystem"} <= set(names)
    assert "docker" not in names


def test_instances_share_init_config_and_have_the_last_word(tmp_path: Path) -> None:
    configuration = write(
        tmp_path,
        conf_d__load__yaml="""
init_config: {interval: 30s, labels: {site: north}}
instances:
  - {}
  - {interval: 1m, labels: {site: east}}
  - {labels: {site: south}, enabled: true}
  - {enabled: false}
""",
    ).load()
    assert named(configuration, "load") == [
        (30, {"site": "north"}),
        (60, {"site": "east"}),
        (30, {"site": "south"}),
    ]


def test_what_is_shared_is_judged_also_where_there_are_no_instances(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r'redis\.yaml:1:15: unknown field "adress"; did you mean "address"'):
        write(tmp_path, conf_d__redis__yaml="init_config: {adress: x}\ninstances: []").load()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("instances: [{labels: {job: x}}]", r'redis\.yaml:1:22: "job" says who a series is'),
        ("instances: [{labels: {__name__: x}}]", r"redis\.yaml:1:22: "),
        ("instances: [{labels: {a b: x}}]", r'redis\.yaml:1:22: "a b" is not a label\'s name'),
        ("init_config: {interval: 1ms}\ninstances: [{}]", r"redis\.yaml:1:25: 100ms is the shortest interval"),
    ],
)
def test_what_no_check_can_be_told_is_refused_at_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        write(tmp_path, conf_d__redis__yaml=text).load()


def test_a_main_file_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    folder = write(tmp_path)
    assert not folder.has_main()
    (tmp_path / "nunchi-agent.yaml").symlink_to(tmp_path / "nowhere")
    assert folder.has_main()
    with pytest.raises(SettingsError, match=r"nunchi-agent\.yaml: no such file"):
        folder.load()


@pytest.mark.parametrize("name", ["conf.d", "checks.d"])
def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(SettingsError, match=f"{name}: a file, where a folder is expected"):
        write(tmp_path).load()


def test_files_that_nobody_reads_are_named(tmp_path: Path) -> None:
    files = {"nunchi-agent.yml": "", "conf.d/redis.yml": "", "conf.d/cpu.yaml": "", "conf.d/a.yaml.example": ""}
    (tmp_path / "conf.d").mkdir()
    for name, text in {**files, "conf.d/.redis.yaml.swp": "", "conf.d/load.yaml.default": ""}.items():
        (tmp_path / name).write_text(text)
    folder = write(tmp_path)
    folder.load()
    assert folder.unread() == [tmp_path / "nunchi-agent.yml", tmp_path / "conf.d/redis.yml"]


def test_a_default_file_counts_until_there_is_another_and_an_example_never(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        conf_d__load__yaml__default="instances: [{interval: 20s}]",
        conf_d__cpu__yaml__example="nonsense: [",
    )
    assert named(folder.load(), "load") == [(20, {})]
    assert named(folder.load(), "cpu") == [(10, {})]
    write(tmp_path, conf_d__load__yaml="instances: [{interval: 40s}]")
    assert named(folder.load(), "load") == [(40, {})]


def test_no_instances_is_a_check_that_does_not_run(tmp_path: Path) -> None:
    assert named(write(tmp_path, conf_d__load__yaml="instances: []").load(), "load") == []


def test_references_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("${CITY}\n")
    configuration = write(
        tmp_path,
        main="labels: {city: '${CITY}', file: '${file:secret}', plain: 'a$b $${x}'}\ninterval: ${env:LONG}\n",
    ).load()
    assert configuration.settings.labels == {"city": "Seoul", "file": "${CITY}", "plain": "a$b ${x}"}
    assert configuration.settings.interval.seconds == 20
    assert configuration.references == (tmp_path / "secret",)


@pytest.mark.parametrize(
    ("files", "place", "words"),
    [
        ({"conf_d__cpuu__yaml": ""}, "conf.d/cpuu.yaml", 'did you mean "cpu"'),
        ({"conf_d__cpu__yaml": "instance: []"}, "cpu.yaml:1:1", 'did you mean "instances"'),
        ({"conf_d__cpu__yaml": "instances:\n- {intervall: 1s}"}, "cpu.yaml:2:4", 'did you mean "interval"'),
        ({"conf_d__cpu__yaml": "init_config: {x: 1}"}, "cpu.yaml:1:15", 'unknown field "x"'),
        ({"conf_d__cpu__yaml": "instances: 5"}, "cpu.yaml:1:12", "a list"),
        ({"conf_d__cpu__yaml": "instances: []", "main": "checks: {cpu: {interval: 1m}}"}, "cpu.yaml", "keep one"),
        ({"main": "labels: {a: '${NOWHERE}'}"}, "nunchi-agent.yaml:1:13", 'no "NOWHERE"'),
        ({"main": "labels: {a: '${file:missing}'}"}, "nunchi-agent.yaml:1:13", "missing"),
    ],
)
def test_mistakes_are_named_with_their_place_and_cure(
    tmp_path: Path, files: dict[str, str], place: str, words: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        write(tmp_path, **files).load()
    assert place in str(raised.value)
    assert words in str(raised.value)


def test_a_file_that_others_may_write_refers_to_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, main="labels: {a: '${CITY}'}")
    (tmp_path / "nunchi-agent.yaml").chmod(0o666)
    with pytest.raises(SettingsError, match="chmod go-w"):
        folder.load()


def test_a_file_that_others_may_write_is_not_read_as_a_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o622)
    with pytest.raises(SettingsError, match="others may write"):
        write(tmp_path, main="labels: {a: '${file:secret}'}").load()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_refers_to_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, main="labels: {a: '${CITY}'}")
    os.chown(tmp_path / "nunchi-agent.yaml", 12345, 12345)
    with pytest.raises(SettingsError, match="belongs to another user"):
        folder.load()


class Running:
    """An agent over a folder, on a clock that stands still; its parts are not started but the ones asked for."""

    def __init__(self, folder: ConfigurationFolder) -> None:
        self.telemetry, self.clock = Telemetry(), VirtualClock()
        (folder.folder / "state").mkdir(exist_ok=True)
        configuration = ConfigurationFolder(folder.folder, {}, state_folder=folder.folder / "state").load()
        world = World(self.clock, Random(1), SystemDisk(), self.telemetry, logger("test"), folder.folder, {})
        source = ConfigurationFolder(folder.folder, {}, state_folder=folder.folder / "state")
        self.agent = build_agent(configuration, world, source=source)

    def instances(self) -> dict[str, object]:
        return {one.name: one for one in self.agent.schedule.instances}

    def value(self, name: str) -> float:
        instrument = self.telemetry.find(name)
        assert instrument is not None
        return sum(value for _, _, value in instrument.samples())


async def test_a_change_leaves_unchanged_instances_as_they_are(tmp_path: Path) -> None:
    folder = write(
        tmp_path, conf_d__load__yaml="instances: [{}, {interval: 1m, labels: {n: a}}, {interval: 2m, labels: {n: b}}]"
    )
    running = Running(folder)
    before = running.instances()
    assert {"load/1", "load/2", "load/3", "cpu"} <= set(before)
    write(
        tmp_path, conf_d__load__yaml="instances: [{interval: 2m, labels: {n: b}}, {interval: 5m, labels: {n: a}}, {}]"
    )
    await running.agent.reload()
    after = running.instances()
    assert after["load/1"] is before["load/1"]
    assert after["load/3"] is before["load/3"]
    assert after["load/2"] is not before["load/2"]
    assert after["cpu"] is before["cpu"]
    write(tmp_path, conf_d__load__yaml="instances: []")
    await running.agent.reload()
    assert not any(name.startswith("load") for name in running.instances())


async def test_a_broken_file_leaves_the_old_settings_in_force_and_says_so_until_it_is_mended(tmp_path: Path) -> None:
    folder = write(tmp_path, main="labels: {site: north}")
    running = Running(folder)
    watch = running.agent.watch
    assert watch is not None
    before = running.instances()
    write(tmp_path, main="labels: {site: south}\nintervall: 1s")
    with pytest.raises(SettingsError, match=r"nunchi-agent\.yaml:2:1"):
        await running.agent.reload()
    assert running.instances() == before
    assert running.agent.configuration.settings.labels == {"site": "north"}
    assert "did you mean" in watch.status.error
    assert running.value("agent_settings_reload_successful") == 0
    write(tmp_path, main="labels: {site: south}")
    await running.agent.reload()
    assert running.agent.configuration.settings.labels == {"site": "south"}
    assert watch.status.error == ""
    assert running.value("agent_settings_reload_successful") == 1
    assert running.value("agent_settings_reloads_total") == 2


async def test_a_changed_file_is_seen_within_ten_seconds(tmp_path: Path) -> None:
    import asyncio

    running = Running(write(tmp_path))
    watch = running.agent.watch
    assert watch is not None
    task = asyncio.create_task(watch.run())
    await running.clock.advance(30)
    assert running.value("agent_settings_reloads_total") == 0
    write(tmp_path, conf_d__load__yaml="instances: [{interval: 7s}]")
    await running.clock.advance(11)
    assert running.value("agent_settings_reloads_total") == 1
    assert [one.interval_seconds for one in running.agent.schedule.instances if one.name == "load"] == [7]
    write(tmp_path, conf_d__load__yaml="instances: [")
    await running.clock.advance(60)
    assert running.value("agent_settings_reloads_total") == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_takes_a_restart_is_said(tmp_path: Path) -> None:
    running = Running(write(tmp_path))
    watch = running.agent.watch
    assert watch is not None
    write(tmp_path, main="name: other\npaths: {proc: /elsewhere}\nserver: {enabled: false}")
    await running.agent.reload()
    assert watch.status.waiting_for_restart == ("name", "paths", "server.enabled")


async def test_an_exporter_comes_moves_and_goes_while_the_agent_runs(tmp_path: Path) -> None:
    running = Running(write(tmp_path))
    exporter = running.agent.exporter
    await exporter.start()
    assert exporter.url == ""
    write(tmp_path, main="exporter: {address: '127.0.0.1:0'}")
    await running.agent.reload()
    first = exporter.url
    assert first.startswith("http://127.0.0.1:")
    write(tmp_path, main="exporter: {address: '0.0.0.0:0'}")
    with pytest.raises(Exception, match="give TLS and users in web_config_file"):
        await running.agent.reload()
    assert exporter.url.startswith("http://127.0.0.1:")
    write(tmp_path, main="")
    await running.agent.reload()
    assert exporter.url == ""


async def test_a_new_instance_runs_at_once_and_others_keep_their_turn(tmp_path: Path) -> None:
    folder = write(tmp_path, conf_d__load__yaml="instances: [{interval: 1h}]")
    running = Running(folder)
    schedule = running.agent.schedule
    await schedule.start()
    for instance in schedule.instances:
        instance.due_at = running.clock.monotonic() + 500
    write(tmp_path, conf_d__load__yaml="instances: [{interval: 1h}, {interval: 2h, labels: {n: a}}]")
    await running.agent.reload()
    due = {one.name: one.due_at - running.clock.monotonic() for one in schedule.instances}
    assert (due["load"], due["load/1"], due["cpu"]) == (500, 0, 500)


async def test_statsd_and_packs_come_change_and_go_while_the_agent_runs(tmp_path: Path) -> None:
    running = Running(write(tmp_path))
    agent, listen = running.agent, f"udp: [], unix_datagram: ['{tmp_path}/s']"
    assert "statsd" not in {one.name for one in agent.schedule.instances}
    write(tmp_path, main=f"statsd: {{{listen}}}\nudp: {{address: '127.0.0.1:9', key: {'k' * 32}}}")
    await agent.reload()
    [before] = [one for one in agent.schedule.instances if one.name == "statsd"]
    assert agent.watch is not None
    assert agent.watch.status.waiting_for_restart == ()
    assert running.value("agent_statsd_series") == 0
    assert running.value("agent_packs_sent_total") == 0
    write(tmp_path, main=f"statsd: {{{listen}, series_max: 5}}\nudp: {{address: '127.0.0.1:9', key: {'l' * 32}}}")
    await agent.reload()
    assert before in agent.schedule.instances
    write(
        tmp_path,
        main=f"statsd: {{{listen}, mapping_file: nowhere}}\nudp: {{address: '127.0.0.1:9', key_file: nowhere}}",
    )
    with pytest.raises(InputError):
        await agent.reload()
    assert before in agent.schedule.instances
    write(tmp_path)
    (tmp_path / "nunchi-agent.yaml").write_text("{}")
    await agent.reload()
    assert before not in agent.schedule.instances
