"""Settings over the API: changed in part, validated, kept over restarts, put back."""

from pathlib import Path

import pytest
from tests.agent.test_api import Client, client

from nunchi.agent.configuration import ConfigurationFolder
from nunchi.agent.runtime_settings import RUNTIME_FILE, merged
from nunchi.kit.settings import SettingsError

__all__ = ["client"]  # the fixture

PATH = "/api/v1/settings"


async def test_a_change_is_merged_kept_and_in_force_and_a_reset_puts_everything_back(client: Client) -> None:
    assert (await client.ask("PATCH", PATH, json={"interval": "30s", "labels": {"site": "north"}}))[0] == 200
    status, shown = await client.ask("PATCH", PATH, json={"labels": {"rack": "b7"}, "spool": {"age_max": "2h"}})
    assert (status, shown["changed"]) == (
        200, {"interval": "30s", "labels": {"site": "north", "rack": "b7"}, "spool": {"age_max": "2h"}},
    )  # fmt: skip
    assert shown["in_force"]["tags"] == ["rack-7"]  # of the file
    settings = client.agent.configuration.settings
    assert (settings.interval.seconds, settings.labels["rack"], settings.spool.age_max.seconds) == (30.0, "b7", 7200.0)
    assert {one.interval_seconds for one in client.agent.schedule.instances} == {30.0}
    again = ConfigurationFolder(client.folder, {}, state_folder=client.folder).load()
    assert again.settings.interval.seconds == 30.0
    assert (await client.ask("PATCH", PATH, json={"interval": None}))[0] == 200
    assert client.agent.configuration.settings.interval.seconds == 10.0
    assert (await client.ask("DELETE", PATH))[0] == 200
    assert client.agent.configuration.settings.labels == {}
    assert not (client.folder / RUNTIME_FILE).exists()
    assert (await client.ask("DELETE", PATH))[0] == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"interval": "1x"}, "duration"),
        ({"interval": "1ms"}, "shortest"),
        ({"intervall": "1s"}, "did you mean"),
        ({"server": {"url": "http://evil"}}, "server"),
        ({"checks": {}}, "checks"),
        ({"labels": {"job": "x"}}, "choose another name"),
        ({"labels": 5}, "labels"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_cure_and_changes_nothing(
    client: Client, change: dict[str, object], said: str
) -> None:
    await client.ask("PATCH", PATH, json={"interval": "20s"})
    kept = (client.folder / RUNTIME_FILE).read_bytes()
    status, shown = await client.ask("PATCH", PATH, json=change)
    assert (status, said in shown["error"]) == (400, True), shown
    assert (client.folder / RUNTIME_FILE).read_bytes() == kept
    assert client.agent.configuration.settings.interval.seconds == 20.0


async def test_references_do_not_come_by_the_api(client: Client) -> None:
    await client.ask("PATCH", PATH, json={"labels": {"secret": "${HOME} ${file:/etc/passwd}"}})
    assert client.agent.configuration.settings.labels == {"secret": "${HOME} ${file:/etc/passwd}"}


async def test_who_has_no_token_sees_and_changes_nothing(client: Client) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        assert (await client.ask(method, PATH, "wrong", json={}))[0] == 401


def test_a_damaged_file_is_named_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / RUNTIME_FILE).write_text('{"interval": 5')
    with pytest.raises(SettingsError, match=RUNTIME_FILE):
        ConfigurationFolder(tmp_path, {}, state_folder=tmp_path).load()


def test_changes_are_merged_key_by_key() -> None:
    assert merged({"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"y": None, "z": 3}, "b": None}) == {"a": {"x": 1, "z": 3}}
