"""What clients that people use send, as they send it."""

from pathlib import Path

import pytest
from tests.agent.statsd.test_statsd import running, wait_shown

from nunchi.wire.statsd import StatsdReader

ACCEPTED_BY_STATSD = [
    ("+10e1", "c"), ("+10", "c"), ("-10", "c"), ("+1", "ms"), ("1.0", "ms"), ("+1.0", "ms"), ("+0.0", "ms"), ("-0.0", "ms"),
    ("0", "ms"), ("10", "g"), ("+10", "g"), ("+10.0", "g"), ("-10", "g"), ("-10.0", "g"), ("foo", "s"), ("345345", "s"),
]  # fmt: skip
REFUSED_BY_STATSD = [
    ("0,345345", "ms"), ("", "c"), ("-1", "ms"), ("-1.0", "ms"), ("", "g"), ("foo", "c"), ("1", "c|@0,5"), ("1", "c|@.5.5"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "rest"), ACCEPTED_BY_STATSD)
def test_what_the_original_accepts_is_accepted(value: str, rest: str) -> None:
    assert not StatsdReader(1).read(f"n:{value}|{rest}".encode()).malformed


@pytest.mark.parametrize(("value", "rest"), REFUSED_BY_STATSD)
def test_what_the_original_refuses_is_refused(value: str, rest: str) -> None:
    assert sum(StatsdReader(1).read(f"n:{value}|{rest}".encode()).malformed.values()) == 1


@pytest.mark.peer
@pytest.mark.parametrize("transport", ["udp", "unix_datagram", "unix_stream"])
async def test_the_dogstatsd_client_is_understood(tmp_path: Path, transport: str) -> None:
    dogstatsd = pytest.importorskip(
        "datadog.dogstatsd.base", reason="datadog is not installed: pip install nunchi[test]"
    )
    text = {
        "udp": '{udp: ["127.0.0.1:0"]',
        "unix_datagram": f'{{udp: [], unix_datagram: ["{tmp_path}/s"]',
        "unix_stream": f'{{udp: [], unix_stream: ["{tmp_path}/s"]',
    }[transport]
    text += ", signed_gauges: absolute, mapping: {defaults: {histogram_options: {buckets: [1, 100]}}}}"
    async with running(text) as statsd:
        if transport == "udp":
            client = dogstatsd.DogStatsd(host="127.0.0.1", port=statsd.udp_ports[0], telemetry_min_flush_interval=0)
        else:
            scheme = "unixgram" if transport == "unix_datagram" else "unixstream"
            client = dogstatsd.DogStatsd(socket_path=f"{scheme}://{tmp_path}/s")
        client.disable_buffering = True
        client.increment("web.hits", 3, tags=["env:prod", "canary"])
        client.decrement("web.hits", 1, tags=["env:prod", "canary"])
        client.gauge("web.temperature", -5.5)
        client.histogram("web.size", 50)
        client.distribution("web.latency", 0.5, tags=["x:ü"])
        client.timing("web.time", 250)
        client.set("web.users", "ann")
        client.event("deployed", "version 2\nis out", alert_type="success", tags=["a:b"])
        client.service_check("web.up", client.WARNING, tags=["a:b"], message="slow: m")
        client.increment("last")
        client.flush()
        shown = await wait_shown(statsd, "last", 1)
        assert shown["web_hits,canary=true,env=prod"] == 2
        assert shown["web_temperature"] == -5.5
        assert shown["web_size_bucket,le=100"] == 1
        assert shown["web_latency_sum,x=ü"] == 0.5
        assert shown["web_time_sum"] == 0.25
        assert shown["statsd_events_total,alert_type=success,priority=normal"] == 1
        assert shown["statsd_service_check_state,a=b,check=web.up"] == 1
        event = statsd.aggregation.records.events[0]
        assert (event.title, event.text, event.tags) == ("deployed", "version 2\nis out", (("a", "b"),))
        client.close_socket()


@pytest.mark.peer
async def test_a_burst_of_the_dogstatsd_client_arrives_whole() -> None:
    dogstatsd = pytest.importorskip(
        "datadog.dogstatsd.base", reason="datadog is not installed: pip install nunchi[test]"
    )
    async with running('{udp: ["127.0.0.1:0"]}') as statsd:
        client = dogstatsd.DogStatsd(host="127.0.0.1", port=statsd.udp_ports[0], disable_buffering=False)
        for number in range(2000):
            client.increment("burst", tags=[f"n:{number % 7}"])
        client.flush()
        client.increment("done")
        client.flush()
        shown = await wait_shown(statsd, "done", 1)
        assert sum(value for name, value in shown.items() if name.startswith("burst")) == 2000
        client.stop()
