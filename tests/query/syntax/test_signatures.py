"""The table of functions is complete and consistent."""

from nunchi.query.syntax.signatures import FUNCTIONS, ValueType


def test_all_ninety_functions_are_there() -> None:
    assert len(FUNCTIONS) == 90
    assert all(name == function.name for name, function in FUNCTIONS.items())


def test_only_these_are_experimental() -> None:
    assert {name for name, function in FUNCTIONS.items() if function.experimental} == {
        *("double_exponential_smoothing", "end", "histogram_quantiles", "info", "mad_over_time", "max_of", "min_of"),
        *("range", "sort_by_label", "sort_by_label_desc", "start", "start_timestamp", "step"),
        *("ts_of_first_over_time", "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time"),
    }


def test_functions_return_scalars_or_instant_vectors() -> None:
    assert {function.returns for function in FUNCTIONS.values()} == {ValueType.SCALAR, ValueType.VECTOR}


def test_repeated_arguments_have_the_type_of_the_last_one() -> None:
    join = FUNCTIONS["label_join"]
    assert (join.arguments_min, join.arguments_max) == (3, None)
    assert join.argument_type(9) is ValueType.STRING
