"""`nunchi query` against a site over a real socket, and what its printers make of answers."""

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from tests.web.site import serving

from nunchi.cli.answers import align, as_csv, as_table, moment_text
from nunchi.cli.asking import QueryRefusedError
from nunchi.cli.bucket_usage import bucket_usage
from nunchi.cli.graph import draw
from nunchi.cli.query import _span, command
from nunchi.kit.clock import SystemClock
from nunchi.kit.errors import InputError, WorldError
from nunchi.model.labels import Labels
from nunchi.testing.clock import VirtualClock
from nunchi.testing.contracts.store import append

NOW = 1_700_000_000
MATRIX = {
    "resultType": "matrix",
    "result": [
        {"metric": {"__name__": "up", "job": "a"}, "values": [[NOW, "1"], [NOW + 60, "NaN"], [NOW + 120, "4.5"]]},
        {"metric": {"value": "x,y"}, "values": [[NOW, "2"]]},
    ],
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a site that runs in a thread of its own."""
    ready, stop, address = threading.Event(), asyncio.Event(), []

    async def serve() -> None:
        async with serving(filled=False, clock=VirtualClock()) as site:
            times = [(NOW - 600 + n * 15) * 1000 for n in range(41)]
            append(
                site.store,
                {
                    Labels.of("load", host="a"): [(at, float(n)) for n, at in enumerate(times)],
                    Labels.of("load", host="b"): [(at, 7.0) for at in times],
                    **{
                        Labels.of("wait_bucket", le=le): [(at, float(n * share)) for n, at in enumerate(times)]
                        for le, share in (("1", 0), ("2", 3), ("+Inf", 3))
                    },
                },
            )
            address.append(site.url)
            loop.append(asyncio.get_running_loop())
            ready.set()
            await stop.wait()

    loop: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield address[0]
    loop[0].call_soon_threadsafe(stop.set)
    thread.join()


def run(url: str, *words: str) -> Result:
    return CliRunner().invoke(command, [words[0], "--url", url, *words[1:]], catch_exceptions=False)


def test_an_instant_is_a_table_of_series_and_values(url: str):
    assert run(url, "instant", "load").output.splitlines() == [
        "series          value",
        'load{host="a"}     40',
        'load{host="b"}      7',
    ]
    assert run(url, "instant", "1 + 1").output == "2\n"
    assert run(url, "instant", "nothing").output == "no series\n"


def test_samples_of_a_range_vector_have_their_times(url: str):
    lines = run(url, "instant", 'load{host="a"}[40s]').output.splitlines()
    assert lines[0] == 'load{host="a"}'
    assert lines[-1] == "  2023-11-14 22:13:20  40"


def test_a_range_is_a_graph_or_a_summary(url: str):
    span = ("--start", str(NOW - 600), "--end", str(NOW), "--step", "15")
    graph = run(url, "range", "load", *span).output.splitlines()
    assert len(graph) == 16 + 1 + 2
    assert graph[0].startswith("   40 ")
    assert any(0x2800 < ord(letter) < 0x2900 for line in graph for letter in line)
    table = run(url, "range", "load", *span, "--format", "table").output.splitlines()
    assert table[0].split() == ["series", "points", "least", "mean", "most", "latest", "at"]
    assert table[1].split()[1:6] == ["41", "0", "20", "40", "40"]


def test_json_and_csv_are_for_programs(url: str):
    data = json.loads(run(url, "instant", "load", "--json").output)
    assert data["resultType"] == "vector"
    rows = list(csv.DictReader(io.StringIO(run(url, "instant", "load", "-f", "csv").output)))
    assert [(row["host"], row["value"]) for row in rows] == [("a", "40"), ("b", "7")]


def test_series_and_labels_are_listed(url: str):
    assert run(url, "series", "load").output.splitlines() == ['load{host="a"}', 'load{host="b"}']
    assert run(url, "labels").output.split() == ["__name__", "host", "le"]
    assert run(url, "labels", "host", "--match", 'load{host="b"}').output == "b\n"


def test_analyze_tells_which_buckets_are_used(url: str):
    lines = run(url, "analyze", "--match", "wait_bucket", "--duration", "5m").output.splitlines()
    assert lines[1].split() == ["wait", "19", "3", "1", "1.0", "1"]
    with pytest.raises(InputError, match="needs --match"):
        run(url, "analyze")


def test_what_the_server_refuses_is_said_in_its_words(url: str):
    with pytest.raises(QueryRefusedError, match=r"bad_data: .*parse error"):
        run(url, "instant", "sum(")
    with pytest.raises(InputError, match="--last"):
        run(url, "range", "up", "--last", "soon")
    with pytest.raises(InputError, match="--end needs --start"):
        run(url, "range", "up", "--end", "5")
    with pytest.raises(InputError, match="not the address of a server"):
        run("localhost:1", "instant", "up")
    with pytest.raises(WorldError):
        run("http://127.0.0.1:1", "instant", "up")


def test_remarks_go_to_the_standard_error(url: str):
    answer = run(url, "instant", "quantile(2, load)")
    assert "PromQL warning" in answer.stderr
    assert "PromQL" not in answer.stdout


def test_a_csv_of_points_names_labels_apart_from_its_own_columns():
    lines = as_csv(MATRIX).splitlines()
    assert lines[0] == "timestamp,value,__name__,job,label_value"
    assert lines[-1] == f'{NOW},2,,,"x,y"'


def test_a_summary_leaves_nan_out():
    assert as_table(MATRIX).splitlines()[1].split()[1:5] == ["3", "1", "2.75", "4.5"]


def test_columns_are_aligned():
    assert align([("a", "12"), ("bcd", "3")], numbers=(1,)) == "a    12\nbcd   3"


def test_times_are_in_utc():
    assert moment_text(NOW) == "2023-11-14 22:13:20"
    assert moment_text(NOW + 0.5) == "2023-11-14 22:13:20.500"


def test_a_graph_draws_a_rising_line_from_bottom_left_to_top_right():
    lines = draw({"x": [(float(n), float(n)) for n in range(20)]}, 0, 19, 24, 4, is_coloured=False).splitlines()
    letters = [[at for at, letter in enumerate(line) if 0x2800 < ord(letter) < 0x2900] for line in lines[:4]]
    assert [min(row) for row in letters] == sorted((min(row) for row in letters), reverse=True)
    assert lines[-1].endswith("x")


def test_a_graph_leaves_gaps_open_and_survives_odd_numbers():
    points = [(0.0, 1.0), (1.0, 1.0), (2.0, float("nan")), (50.0, 1.0), (51.0, float("inf")), (99.0, 1.0)]
    text = draw({"x": points}, 0, 99, 60, 3, is_coloured=True)
    assert text.count("\x1b[34m") < 8
    assert draw({"x": [(0.0, float("nan"))]}, 0, 1, 60, 3, is_coloured=False) == "no points to draw"
    many = {str(n): [(0.0, float(n))] for n in range(12)}
    assert draw(many, 0, 1, 60, 3, is_coloured=False).endswith("5 more series are not drawn: aggregate, or use topk")


def test_resets_do_not_count_as_use_of_buckets():
    def bucket(le: str, *values: int) -> dict[str, object]:
        return {"metric": {"__name__": "w_bucket", "le": le}, "values": [[at, str(v)] for at, v in enumerate(values)]}

    (usage,) = bucket_usage([bucket("1", 0, 5, 1, 2), bucket("+Inf", 0, 9, 2, 3), bucket("odd", 1, 2, 3, 4)])
    assert (usage.metric, usage.scrapes, usage.buckets, usage.least, usage.most) == ("w", 2, 2, 1, 2)


def test_a_range_ends_now_so_that_a_young_server_has_an_answer():
    before = SystemClock().now()
    assert _span(None, None, "6h", None)["end"] >= before
