"""The JSON of results is what Prometheus's API writes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.histogram_columns import HistogramColumns
from nunchi.model.labels import Labels
from nunchi.model.symbols import LabelTable, Symbols
from nunchi.query.histograms.grid import HistogramGrid
from nunchi.query.kernels.render import format_number
from nunchi.query.operators.go_format import format_shortest
from nunchi.query.rendering import format_time, render_labels, render_value, result_type
from nunchi.query.values import Matrix, Samples, Scalar, String, Vector
from nunchi.testing.contracts.store import CUSTOM, LATENCY


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (100000.0, "100000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-07"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1.5e300, "1.5e+300"),
        (5e-324, "5e-324"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_numbers_are_printed_as_go_prints_them(value: float, text: str) -> None:
    assert format_number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_numbers_read_back_the_same(value: float, plain: bool) -> None:
    text = format_number(value, plain)
    assert float(text) == value
    assert not plain or "e" not in text
    assert float(format_shortest(value)) == value


@pytest.mark.parametrize(
    ("value", "text"), [(1e-5, "1e-05"), (1.5e-7, "1.5e-07"), (1e21, "1e+21"), (0.0001, "0.0001"), (2.0, "2")]
)
def test_messages_print_numbers_with_an_exponent_below_1e_4(value: float, text: str) -> None:
    assert format_shortest(value) == text


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0"), (1435781451781, "1435781451.781"), (100, "0.100"), (-1500, "-1.500"), (5, "0.005")]
)
def test_times_have_three_decimals_or_none(ms: int, text: str) -> None:
    assert format_time(ms) == text


HOSTILE = 'quote" back\\slash \n tab\t null\x00 <script> é 눈치 \u2028'


def table() -> LabelTable:
    return LabelTable.of(Symbols(), [Labels.of("x", a=HOSTILE), Labels()])


def read(value: object) -> object:
    return json.loads(render_value(value))


def test_scalars_and_strings() -> None:
    assert read(Scalar(1.5, 1500)) == [1.5, "1.5"]
    assert read(String(HOSTILE, 2000)) == [2, HOSTILE]
    assert result_type(String("", 0)) == "string"


def test_vectors() -> None:
    assert read(Vector(table(), np.array([1.0, math.nan]), 1500)) == [
        {"metric": {"__name__": "x", "a": HOSTILE}, "value": [1.5, "1"]},
        {"metric": {}, "value": [1.5, "NaN"]},
    ]


def test_matrices_leave_out_what_is_not_present() -> None:
    values = np.array([[1.0, 2.0, 3.0], [4.0, math.inf, 0.0]])
    present = np.array([[True, False, True], [False, True, False]])
    assert read(Matrix(table(), np.array([0, 1000, 2500]), values, present)) == [
        {"metric": {"__name__": "x", "a": HOSTILE}, "values": [[0, "1"], [2.5, "3"]]},
        {"metric": {}, "values": [[1, "+Inf"]]},
    ]


def test_samples_have_times_of_their_own() -> None:
    value = Samples(table(), np.array([0, 2, 3]), np.array([0, 1, 2000]), np.array([1.0, 2.0, 3.0]))
    assert read(value) == [
        {"metric": {"__name__": "x", "a": HOSTILE}, "values": [[0, "1"], [0.001, "2"]]},
        {"metric": {}, "values": [[2, "3"]]},
    ]
    assert result_type(value) == "matrix"


def test_nothing_is_an_empty_list() -> None:
    empty = LabelTable.of(Symbols(), [])
    assert read(Vector(empty, np.empty(0), 0)) == []
    assert read(Matrix(empty, np.array([0]), np.empty((0, 1)), np.empty((0, 1), np.bool_))) == []


def test_histograms_stand_beside_numbers() -> None:
    columns = HistogramColumns.of([LATENCY, CUSTOM])
    labels = LabelTable.of(Symbols(), [Labels.of("a"), Labels.of("b")])
    grid = HistogramGrid(np.array([[-1, 0], [1, -1]], np.int32), columns)
    present = np.array([[True, True], [True, False]])
    matrix = Matrix(labels, np.array([1000, 2500]), np.array([[3.0, np.nan], [np.nan, 0.0]]), present, grid)
    first, second = json.loads(render_value(matrix))
    assert first["metric"] == {"__name__": "a"}
    assert first["values"] == [[1, "3"]]
    assert first["histograms"] == [
        [
            2.5,
            {
                "count": "8",
                "sum": "7.5",
                "buckets": [
                    [1, "-1", "-0.7071067811865475", "1"],
                    [3, "-0.001", "0.001", "2"],
                    [0, "0.5", "0.7071067811865475", "2"],
                    [0, "2", "2.82842712474619", "3"],
                ],
            },
        ]
    ]
    assert "values" not in second
    assert second["histograms"] == [
        [1, {"count": "3", "sum": "2.5", "buckets": [[3, "-Inf", "0.5", "1"], [0, "0.5", "1", "2"]]}]
    ]
    vector = Vector(labels, np.array([3.0, np.nan]), 1000, HistogramGrid(np.array([-1, 1], np.int32), columns))
    assert [sorted(series) for series in json.loads(render_value(vector))] == [
        ["metric", "value"],
        ["histogram", "metric"],
    ]


def test_label_sets_alone_are_json():
    series = [Labels.of("m", instance='a"\n'), Labels(()), Labels.of("n", ü="\x01é")]
    table = LabelTable.of(Symbols(), series)
    assert json.loads(render_labels(table)) == [dict(labels) for labels in series]
    assert render_labels(LabelTable.of(Symbols(), [])) == b"[]"
