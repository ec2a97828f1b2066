"""Cloud configurations come, change and go; the server is away; files are broken: clippers run on as they should."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.clippers.aws_stub import Account, serving
from tests.agent.clippers.clipping import Clipping
from tests.agent.clippers.links import RecordingLink

from nunchi.agent.clipper_settings import AwsCredentials, AwsSettings, CloudSettings
from nunchi.kit.errors import InputError
from nunchi.kit.secrets import Secret
from nunchi.model.staleness import is_stale
from nunchi.wire.cloud_exchange import HandedConfiguration

ACCOUNT = """
- name: {name}
  credentials: main
  regions: [{regions}]
  resources: {{describe: false}}
  metrics:
  - {{namespace: Shop, delay: 1m, period: 1m, metrics: [{{name: {metric}}}]}}
"""


def configuration(*accounts: tuple[str, str, str]) -> str:
    return "aws:" + "".join(
        ACCOUNT.format(name=name, regions=regions, metric=metric) for name, regions, metric in accounts
    )


ONE = configuration(("one", "eu-west-1", "Orders"))
TWO = configuration(("one", "eu-west-1", "Orders"), ("two", "eu-west-1, us-east-1", "Orders"))


@pytest.fixture
def account() -> Account:
    return Account(metrics=[("Shop", "Orders", ()), ("Shop", "Visits", ())])


@pytest.fixture
def url(account: Account) -> Iterator[str]:
    with serving(account) as address:
        yield address


async def test_only_what_changed_is_replaced(url: str, tmp_path: Path):
    clipping = Clipping(url, tmp_path)
    await clipping.configure(TWO)
    await clipping.pass_time(2)
    before = {place: watched.clippers for place, watched in clipping.cloud.manager._watched.items()}
    changed = configuration(
        ("one", "eu-west-1", "Orders"), ("two", "eu-west-1", "Visits"), ("three", "eu-west-1", "Orders")
    )
    await clipping.configure(changed)
    after = {place: watched.clippers for place, watched in clipping.cloud.manager._watched.items()}
    assert after["aws", "one", "eu-west-1"] is before["aws", "one", "eu-west-1"]
    assert after["aws", "two", "eu-west-1"] is not before["aws", "two", "eu-west-1"]
    assert set(after) == {("aws", name, "eu-west-1") for name in ("one", "two", "three")}
    ended = [one.task for one in (*before["aws", "two", "eu-west-1"], *before["aws", "two", "us-east-1"])]
    assert all(task is not None and task.cancelled() for task in ended), (
        "the old ones have ended before the new ones begin"
    )
    await clipping.pass_time(2)
    assert {one["state"] for one in clipping.cloud.manager.status()} == {"running"}
    await clipping.stop()
    assert clipping.cloud.manager.status() == []


async def test_credentials_that_are_not_known_here_are_named_and_the_rest_runs(url: str, tmp_path: Path):
    clipping = Clipping(url, tmp_path)
    await clipping.configure(TWO.replace("two\n  credentials: main", "two\n  credentials: other"))
    await clipping.pass_time(2)
    assert {(one["account"], one["state"]) for one in clipping.cloud.manager.status()} == {
        ("one", "running"), ("two", "failing"),
    }  # fmt: skip
    [first, _] = [one["messages"] for one in clipping.cloud.manager.status() if one["account"] == "two"]
    assert "no credentials called 'other'" in first[0]
    await clipping.stop()


async def test_without_a_configuration_it_waits_and_says_so(tmp_path: Path):
    link = RecordingLink()
    clipping = Clipping("http://127.0.0.1:9", tmp_path, link)
    await clipping.cloud.source.start()
    assert clipping.cloud.manager.state == "waiting"
    assert clipping.cloud.reporter is not None
    assert clipping.cloud.reporter.report().state == "waiting"
    assert await clipping.cloud.source._ask(link) == "http://server answers 404"
    assert clipping.cloud.manager.state == "waiting"


async def test_the_servers_configuration_is_obeyed_and_kept_for_the_next_start(url: str, tmp_path: Path):
    link = RecordingLink()
    link.handed = HandedConfiguration("v1", ONE)
    clipping = Clipping(url, tmp_path, link)
    await clipping.cloud.source.start()
    assert await clipping.cloud.source._ask(link) == ""
    await clipping.pass_time(2)
    assert clipping.status("metrics")["state"] == "running"
    assert await clipping.cloud.source._ask(link) == "", "304: nothing new"
    assert "version=v1" in link.asked[-1]
    link.handed = HandedConfiguration("v2", "aws: [{name: one, regions: [eu-west-1], access_key: AKIA}]")
    assert 'unknown field "access_key"' in await clipping.cloud.source._ask(link)
    assert clipping.cloud.source.kept.version == "v1"
    assert clipping.status("metrics")["state"] == "running", "what is broken changes nothing"
    link.handed = HandedConfiguration("v3", "")
    await clipping.cloud.source._ask(link)
    assert clipping.cloud.manager.state == "waiting", "the server has none for this agent any more"
    link.handed = HandedConfiguration("v1", ONE)
    await clipping.cloud.source._ask(link)
    await clipping.stop()

    link.is_away = True
    again = Clipping(url, tmp_path, link)
    await again.cloud.source.start()
    assert again.cloud.source.kept.version == "v1"
    assert "nobody answers" in await again.cloud.source._ask(link)
    await again.pass_time(120)
    assert again.status("metrics")["rounds"] >= 2, "a server that is away stops nothing"
    await again.stop()


async def test_what_is_posted_wins_over_the_server_until_it_is_dropped(url: str, tmp_path: Path):
    link = RecordingLink()
    link.handed = HandedConfiguration("v1", ONE)
    clipping = Clipping(url, tmp_path, link)
    source = clipping.cloud.source
    await source.put(TWO)
    assert len(clipping.cloud.manager.status()) == 6
    assert await source._ask(link) == ""
    assert source.kept.origin == "api"
    with pytest.raises(InputError, match="no region"):
        await source.put("aws: [{name: x, regions: [nowhere]}]")
    assert len(clipping.cloud.manager.status()) == 6
    await source.forget()
    assert clipping.cloud.manager.state == "waiting"
    assert await source._ask(link) == ""
    assert len(clipping.cloud.manager.status()) == 2
    await clipping.stop()


async def test_a_damaged_file_is_no_reason_not_to_start(tmp_path: Path):
    (tmp_path / "cloud-configuration.json").write_text('{"origin": "server", "version": "v1", "text": "aws: 7"}')
    clipping = Clipping("http://127.0.0.1:9", tmp_path)
    await clipping.cloud.source.start()
    assert clipping.cloud.manager.state == "waiting"


async def test_credentials_are_checked_and_regions_listed(account: Account, url: str, tmp_path: Path):
    clipping = Clipping(url, tmp_path)
    [provider] = clipping.cloud.manager._providers.values()
    assert await provider.check_credentials("check", "main", "", "") == ["eu-west-1", "us-east-1"]


async def test_an_api_that_cannot_be_reached_is_named_and_tried_again(tmp_path: Path):
    clipping = Clipping("http://127.0.0.1:9", tmp_path)
    await clipping.configure(ONE)
    await clipping.pass_time(30)
    status = clipping.status("metrics")
    assert status["state"] == "failing"
    assert "127.0.0.1:9" in status["messages"][0]
    await clipping.pass_time(120)
    assert clipping.status("metrics")["rounds"] >= 2
    await clipping.stop()


async def test_costs_are_counted_by_account_region_and_api(url: str, tmp_path: Path):
    clipping = Clipping(url, tmp_path, RecordingLink())
    await clipping.configure(TWO)
    await clipping.pass_time(2)
    assert clipping.cloud.reporter is not None
    costs = {(one.account, one.region, one.api): one for one in clipping.cloud.reporter.costs()}
    assert costs["two", "us-east-1", "get_metric_data"].metrics_requested == 1
    assert costs["two", "us-east-1", "list_metrics"].calls == 1
    await clipping.stop()


async def test_other_credentials_begin_their_accounts_anew_and_leave_the_rest_alone(
    account: Account, url: str, tmp_path: Path
):
    account.known_keys = {"AKTEST", "AKOTHER"}
    clipping = Clipping(url, tmp_path)
    text = configuration(("one", "eu-west-1", "Orders"), ("two", "us-east-1", "Orders"))
    await clipping.configure(text.replace("main", "spare", 1))
    await clipping.pass_time(10)
    assert clipping.cloud.manager.status()[0]["state"] == "failing", "this agent knows no such credentials"
    rounds = clipping.status("metrics", "us-east-1")["rounds"]
    assert rounds > 0
    main = AwsCredentials(access_key_id="AKTEST", secret_access_key=Secret("s3cr3t"))
    spare = AwsCredentials(access_key_id="AKOTHER", secret_access_key=Secret("other"))
    changed = CloudSettings(aws=AwsSettings(credentials={"main": main, "spare": spare}, endpoint_url=url))
    await clipping.cloud.apply(changed, {"site": "south"})
    await clipping.pass_time(10)
    assert clipping.status("metrics")["state"] == "running"
    assert clipping.status("metrics", "us-east-1")["rounds"] >= rounds
    assert clipping.cloud.writer.labels == {"site": "south"}
    wrong = AwsCredentials(access_key_id="AKWRONG", secret_access_key=Secret("other"))
    broken = CloudSettings(aws=AwsSettings(credentials={"main": main, "spare": wrong}, endpoint_url=url))
    await clipping.cloud.apply(broken, {})
    await clipping.pass_time(10)
    assert clipping.status("metrics")["state"] == "failing"
    assert "AKWRONG" not in str(clipping.status("metrics"))
    assert clipping.status("metrics", "us-east-1")["state"] == "running"
    await clipping.stop()


async def test_an_account_that_is_not_watched_any_more_leaves_no_series_that_seem_to_go_on(url: str, tmp_path: Path):
    clipping = Clipping(url, tmp_path)
    await clipping.configure(TWO)
    await clipping.pass_time(10)
    await clipping.configure(ONE)
    gone = clipping.sink.find("orders_average", 'account_alias="two"', "us-east-1")
    kept = clipping.sink.find("orders_average", 'account_alias="one"')
    assert max(gone) == max(kept) + 60_000, "one period after the last value"
    assert is_stale(gone[max(gone)])
    assert not any(map(is_stale, kept.values()))
    await clipping.stop()
