"""Clouds from end to end: a server process, an agent process, and an AWS that throttles, pages, corrects and half fails.

The AWS is the tests' stand-in where its misbehaviour matters, and moto's server, another program's idea of it.
"""

import asyncio
import json
import logging
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.async_api import expect
from tests.agent.clippers.aws_stub import Account, serving
from tests.agent.clippers.test_moto import make_instance, put_cpu
from tests.end_to_end.delivery import NAME, AgentHome, Server, delivering, wait_until
from tests.web.browser import chromium, tab

pytestmark = pytest.mark.timeout(300)
ORDERS = (("Shop", "north"),)
PERIOD_S = 10
ROOT = "/api/nunchi/v1/cloud"
SHOP = f"""
aws:
- name: shop
  credentials: main
  regions: [eu-west-1, us-east-1]
  resources: {{namespaces: [AWS/EC2]}}
  metrics:
  - namespace: Shop
    period: {PERIOD_S}s
    delay: 0s
    look_back: 3m
    interval: 10s
    metrics: [{{name: Orders, statistics: [Sum, p99]}}]
- name: stranger
  credentials: wrong
  regions: [eu-west-1]
"""


def home_of(folder: Path, server: Server, endpoint: str) -> AgentHome:
    """An agent with keys, one of which opens nothing."""
    keys = "main: {access_key_id: AKMAIN, secret_access_key: s3cr3t}, wrong: {access_key_id: AKWRONG, secret_access_key: x}"
    cloud = f"cloud: {{aws: {{endpoint_url: '{endpoint}', credentials: {{{keys}}}}}}}"
    agent = AgentHome(folder, f"server: {{url: '{server.url}', timeout: 2s}}\n{cloud}")
    agent.write("1s")
    return agent


def put(server: Server, text: str) -> None:
    server.ask(f"{ROOT}/configurations/test", "PUT", {"agents": ["proof-*"], "text": text})


def clippers(server: Server) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What the server shows of the agent's clippers, by account, region and kind."""
    found = [one for agent in server.ask(ROOT)["agents"] for one in agent["clippers"]]
    return {(one["account"], one["region"], one["kind"]): one for one in found}


def stored(server: Server, name: str, **labels: str) -> dict[int, float]:
    """The samples of the one series of this name and labels, by second."""
    wanted = ",".join(f'{label}="{value}"' for label, value in labels.items())
    found = server.samples(f"{name}{{{wanted}}}")
    assert len(found) <= 1, found.keys()
    return {round(at): value for samples in found.values() for at, value in samples}


def agent_api(agent: AgentHome, method: str, path: str, content: object) -> Any:
    """Ask the agent's own API with its token."""
    url, token = ((agent.folder / name).read_text().strip() for name in ("api-url", "api-token"))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    asked = urllib.request.Request(url + path, json.dumps(content).encode(), headers, method=method)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return json.load(answer)


@pytest.fixture
def account() -> Account:
    return Account(
        metrics=[("Shop", "Orders", ORDERS)],
        instances=[("i-0001", {"Name": "web", "Team": "shop"})],
        known_keys={"AKMAIN"},
        now_s=time.time(),
        ripening_s=90,
        values_per_page=7,
        faults={"GetMetricData": ["throttle", "500"], "ListMetrics": ["throttle"]},
        broken_regions={"us-east-1": "denied"},
    )


@pytest.fixture
def endpoint(account: Account) -> Iterator[str]:
    with serving(account) as url:
        yield url


def is_right(account: Account, found: dict[int, float], statistic: str) -> bool:
    """Whether there are values, each at its own time, and each what the cloud says of that time now."""
    return bool(found) and all(
        at % PERIOD_S == 0 and value == account.value("Orders", ORDERS, statistic, at) for at, value in found.items()
    )


def test_a_cloud_is_watched_by_what_the_server_keeps_whatever_fails(
    account: Account, endpoint: str, tmp_path: Path
) -> None:
    server = Server(tmp_path / "server")
    agent = home_of(tmp_path / "agent", server, endpoint)

    def orders(statistic: str = "Sum") -> dict[int, float]:
        return stored(server, f"aws_shop_orders_{statistic.lower()}", region="eu-west-1")

    with delivering(server, agent):
        agent.start()
        wait_until(lambda: states_of(server) == {"waiting"}, "an agent that waits says so")
        put(server, SHOP)
        wait_until(lambda: is_right(account, orders(), "Sum") and is_right(account, orders("p99"), "p99"), "values")
        assert len(orders()) >= 12, "all values of the window, over pages"
        wait_until(lambda: ("stranger", "eu-west-1", "resources") in clippers(server), "the state of all clippers")
        check_states(server)
        check_resources(server)
        unripe = orders()
        account.ripening_s, account.now_s = 0, time.time()
        wait_until(lambda: is_right(account, orders(), "Sum") and len(orders()) > len(unripe), "corrected values")
        assert [at for at, value in unripe.items() if orders()[at] != value] != []
        outlive_server_and_restart(server, agent, account, endpoint)
        account.now_s = time.time()
        since = min(orders())
        wait_until(lambda: is_whole(orders(), since, account) and is_right(account, orders(), "Sum"), "no hole")
        last = max(orders())
        server.ask(f"{ROOT}/configurations/test", "DELETE")
        wait_until(lambda: not clippers(server), "clippers have ended")
        wait_until(lambda: has_ended(server, last), "the series has ended one period after its last value")


def states_of(server: Server) -> set[str]:
    return {one["state"] for one in server.ask(ROOT)["agents"] if one["name"] == NAME}


def check_states(server: Server) -> None:
    """What fails says so, and only that."""
    found = clippers(server)
    assert found["shop", "eu-west-1", "metrics"]["state"] == "running"
    denied = found["shop", "us-east-1", "metrics"]
    assert denied["state"] in {"degraded", "failing"}
    assert "AccessDenied" in " ".join(denied["messages"])
    stranger = found["stranger", "eu-west-1", "resources"]
    assert stranger["state"] == "failing"
    assert "UnrecognizedClient" in " ".join(stranger["messages"])
    [agent] = server.ask(ROOT)["agents"]
    costs = {(one["account"], one["region"], one["api"]): one for one in agent["costs"]}
    cost = costs["shop", "eu-west-1", "get_metric_data"]
    assert cost["calls"] > cost["failed_calls"] >= 2
    assert cost["metrics_requested"] >= 2
    assert not any(word in json.dumps(agent) for word in ("AKMAIN", "s3cr3t", "AKWRONG"))


def check_resources(server: Server) -> None:
    """The inventory is kept as records, and shown with tags."""
    wait_until(lambda: server.ask(f"{ROOT}/resources?namespace=AWS/EC2")["matched"] > 0, "an inventory")
    [found] = server.ask(f"{ROOT}/resources?namespace=AWS/EC2&region=eu-west-1&text=shop")["resources"]
    assert (found["account"], found["tags"]) == ("shop", {"Name": "web", "Team": "shop"})


def outlive_server_and_restart(server: Server, agent: AgentHome, account: Account, endpoint: str) -> None:
    """Collection goes on while the server is away, also by an agent that is started then."""

    def wait_call() -> None:
        calls, account.now_s = account.calls["GetMetricData"], time.time()
        wait_until(lambda: account.calls["GetMetricData"] > calls + 2, "the cloud is asked")

    server.kill()
    wait_call()
    agent.kill()
    agent.start()
    wait_call()
    server.start()
    assert server.ask(f"{ROOT}/resources?namespace=AWS/EC2")["matched"] > 0, "inventories outlive the server"


def is_whole(found: dict[int, float], since: int, account: Account) -> bool:
    """Whether there is a value for every period up to a moment ago."""
    times = range(since, int(account.now_s) // PERIOD_S * PERIOD_S, PERIOD_S)
    return set(times) <= found.keys()


def has_ended(server: Server, last: int) -> bool:
    """A value at its last time, none a period later: later ones may have come before the end."""
    found = stored(server, "aws_shop_orders_sum", region="eu-west-1")
    at = max(last, *found)

    def values(time_s: int) -> Any:
        query = f"/api/v1/query?query=aws_shop_orders_sum&time={time_s}"
        return server.ask(query)["data"]["result"]

    return bool(values(at)) and not values(at + PERIOD_S)


@pytest.fixture
def moto_url() -> Iterator[str]:
    server_module = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'nunchi[test]'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = server_module.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.mark.peer
def test_motos_cloud_is_watched_by_what_is_posted_to_the_agent(moto_url: str, tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    agent = home_of(tmp_path / "agent", server, moto_url)
    instance = make_instance(moto_url, "eu-west-1", {"Name": "web", "Team": "shop"})
    moment = datetime.now(UTC)
    at = moment - timedelta(minutes=moment.minute % 5 + 10, seconds=moment.second, microseconds=moment.microsecond)
    put_cpu(moto_url, "eu-west-1", instance, at, 10.0, 30.0)
    text = """
aws:
- name: moto
  credentials: main
  regions: [eu-west-1]
  metrics: [{namespace: AWS/EC2, delay: 0s, interval: 10s, tag_labels: [Team], metrics: [{name: CPUUtilization}]}]
"""
    with delivering(server, agent):
        agent.start()

        def post(path: str, content: object) -> Any:
            return agent_api(agent, "POST", f"/api/v1/cloud/{path}", content)

        def found() -> dict[int, float]:
            return stored(server, "aws_ec2_cpuutilization_average", tag_Team="shop")

        regions = post("credentials/check", {"credentials": "main"})["regions"]
        assert {"eu-west-1", "us-east-1"} <= set(regions)
        assert post("configuration", {"aws": []})["clippers"] == []
        assert "no credentials called 'spare'" in str(
            post("configuration/check", as_json(text.replace("main", "spare")))
        )
        post("configuration", as_json(text))
        wait_until(lambda: found() == {round(at.timestamp()): 20.0}, "the value")
        put_cpu(moto_url, "eu-west-1", instance, at, 50.0)
        wait_until(lambda: found() == {round(at.timestamp()): 30.0}, "the corrected value")
        wait_until(lambda: server.ask(f"{ROOT}/resources?text=shop")["matched"] == 1, "the inventory")
        wait_until(lambda: ("moto", "eu-west-1", "metrics") in clippers(server), "the state of the clippers")
        asyncio.run(look_at_pages(server.url, instance))


async def look_at_pages(url: str, instance: str) -> None:
    """What people see of it."""
    async with chromium() as browser, tab(browser, url) as page:
        await page.open("/clouds")
        await expect(page.page.locator(".card", has_text="moto").first).to_contain_text("2 of 2 clippers run")
        await expect(page.page.locator(".costs")).to_contain_text("get_metric_data")
        await page.open("/clouds?view=resources&search=shop")
        row = page.page.locator("tbody tr")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text(instance)
        await expect(row).to_contain_text('Team="shop"')
        assert await page.faults() == []


def as_json(text: str) -> object:
    """A configuration in YAML as what a client of the API sends."""
    return yaml.safe_load(text)
