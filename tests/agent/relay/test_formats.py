"""What sources write, read as their documents say; what cannot be read is refused with its place."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.agent.relay.format import Format, Reading, RelayError
from nunchi.agent.relay.formats import FORMATS, collectd, exposition, samples, telegraf
from nunchi.model.metadata import MetricType

NOW_MS = 1_700_000_000_000
# The batch and the single metric of docs.influxdata.com/telegraf/v1/data_formats/output/json, with two metrics more.
TELEGRAF_BATCH = b"""{"metrics": [
  {"fields": {"field_1": 30, "field_2": 4, "field_N": 59, "n_images": 660}, "name": "docker",
   "tags": {"host": "raynor"}, "timestamp": 1458229140},
  {"fields": {"field_1": 30, "state": "running", "is_up": true, "gone": null}, "name": "docker-swarm",
   "tags": {"host": "raynor", "engine.name": "x", "__evil": "y"}, "timestamp": 1458229140},
  {"fields": {"value": 1.5}, "name": "temp", "tags": {}, "timestamp": 1458229141}]}"""
TELEGRAF_LINES = b"""{"fields":{"field_1":30,"n_images":660},"name":"docker","tags":{"host":"raynor"},"timestamp":1458229140}
{"fields":{"usage":1e-3},"name":"cpu","tags":{"cpu":"cpu0"},"timestamp":1458229140}
"""
# The value list of github.com/collectd/collectd/wiki/JSON, with instances.
COLLECTD = b"""[{"values":[1901474177,12],"dstypes":["derive","derive"],"dsnames":["rx","tx"],"time":1280959128.5,
 "interval":10,"host":"leeloo.octo.it","plugin":"interface","plugin_instance":"eth0","type":"if_octets","type_instance":""},
 {"values":[3.25,null],"dstypes":["gauge","gauge"],"dsnames":["value","other"],"time":1280959128,"interval":10,
 "host":"h","plugin":"load","plugin_instance":"","type":"load","type_instance":"short term"}]"""


def shown(reading: Reading) -> dict[str, tuple[float, int]]:
    return {
        f"{one.name}{{{','.join(f'{k}={v}' for k, v in sorted(one.labels.items()))}}}": (one.value, one.timestamp_ms)
        for one in reading.samples
    }


def test_own_json_has_names_labels_values_times_and_types() -> None:
    body = (
        b'{"samples": [{"name": "orders_total", "value": 7, "labels": {"shop": "north"}, "type": "counter",'
        b' "timestamp_ms": 5}, {"name": "load", "value": "NaN"}, {"name": "room", "value": "+Inf"}]}'
    )
    first, second, third = samples.read(body, NOW_MS, {}).samples
    assert (first.name, first.labels, first.value, first.timestamp_ms) == ("orders_total", {"shop": "north"}, 7.0, 5)
    assert first.type is MetricType.COUNTER
    assert (math.isnan(second.value), second.timestamp_ms, third.value) == (True, NOW_MS, math.inf)


def test_a_batch_of_telegraf_keeps_all_tags_and_the_given_time() -> None:
    reading = telegraf.read(TELEGRAF_BATCH, NOW_MS, {})
    at = 1_458_229_140_000
    assert shown(reading) == {
        "docker_field_1{host=raynor}": (30.0, at),
        "docker_field_2{host=raynor}": (4.0, at),
        "docker_field_N{host=raynor}": (59.0, at),
        "docker_n_images{host=raynor}": (660.0, at),
        "docker_swarm_field_1{_evil=y,engine_name=x,host=raynor}": (30.0, at),
        "docker_swarm_is_up{_evil=y,engine_name=x,host=raynor}": (1.0, at),
        "temp{}": (1.5, at + 1000),
    }
    assert reading.left_out == {"text": 1, "no_value": 1}


def test_lines_of_telegraf_and_its_units() -> None:
    assert len(telegraf.read(TELEGRAF_LINES, NOW_MS, {}).samples) == 3
    body = b'{"name":"a","fields":{"value":1},"timestamp":1458229140123456789}'
    [one] = telegraf.read(body, NOW_MS, {"unit": "ns"}).samples
    assert one.timestamp_ms == 1_458_229_140_123


def test_value_lists_of_collectd_get_the_names_of_its_exporter() -> None:
    reading = collectd.read(COLLECTD, NOW_MS, {})
    assert shown(reading) == {
        "collectd_interface_if_octets_rx_total{host=leeloo.octo.it,interface=eth0}": (1901474177.0, 1280959128500),
        "collectd_interface_if_octets_tx_total{host=leeloo.octo.it,interface=eth0}": (12.0, 1280959128500),
        "collectd_load{host=h,load=short term}": (3.25, 1280959128000),
    }
    assert reading.left_out == {"no_value": 1}


def test_text_is_of_now() -> None:
    body = b'# TYPE backup_seconds gauge\nbackup_seconds{job="nightly"} 12.5 1000\n'
    [one] = exposition.read(body, NOW_MS, {}).samples
    assert (one.name, one.labels, one.value, one.timestamp_ms) == ("backup_seconds", {"job": "nightly"}, 12.5, NOW_MS)
    assert one.type is MetricType.GAUGE


@pytest.mark.parametrize(
    ("form", "body", "place"),
    [
        (samples, b'{"samples": [{"name": "a", "value": 1}, {"name": "b"}]}', "$.samples[1]"),
        (samples, b'{"samples": [{"name": "a", "value": 1, "tags": {}}]}', "tags"),
        (samples, b'{"samples": [{"name": "a b", "value": 1}]}', "samples[0].name"),
        (samples, b'{"samples": [{"name": "a", "value": 1, "labels": {"__x": "y"}}]}', "samples[0].labels"),
        (samples, b"\xff", "malformed"),
        (
            telegraf,
            b'{"metrics": [{"name": "a", "fields": {"x": 1}}, {"name": "a", "fields": {"x": [1]}}]}',
            "metrics[1]",
        ),
        (telegraf, b'{"name":"a","fields":{"x":1}}\n{"name":"a"}', "line 2"),
        (telegraf, b"cpu,host=a usage=1", "malformed"),
        (collectd, b'[{"values":[1]}]', "$[0]"),
        (
            collectd,
            b'[{"values":[1],"dstypes":[],"dsnames":[],"time":1,"host":"h","plugin":"p","type":"t"}]',
            "[0]: values",
        ),
        (exposition, b"a 1\nb\n", "line 2"),
        (exposition, b"a\xff 1", "byte 1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(form: object, body: bytes, place: str) -> None:
    with pytest.raises(RelayError) as raised:
        form.FORMAT.read(body, NOW_MS, {})  # type: ignore[attr-defined]  # a module of formats
    assert place in str(raised.value)


def test_a_unit_that_is_none_is_refused() -> None:
    with pytest.raises(RelayError, match="unit"):
        telegraf.read(TELEGRAF_LINES, NOW_MS, {"unit": "h"})


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@given(
    body=st.one_of(
        st.binary(),
        st.sampled_from([TELEGRAF_BATCH, COLLECTD]).flatmap(
            lambda whole: st.integers(0, len(whole)).map(lambda end: whole[:end])
        ),
    )
)
def test_any_bytes_are_read_or_refused(form: Format, body: bytes) -> None:
    try:
        reading = form.read(body, NOW_MS, {})
    except RelayError:
        return
    assert all(isinstance(one.value, float) for one in reading.samples)
