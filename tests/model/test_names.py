import pytest

from nunchi.model.names import NameScheme, is_encodable


@pytest.mark.parametrize(
    ("text", "is_legacy_label", "is_legacy_metric", "is_utf8"),
    [
        ("up", True, True, True),
        ("job:rate", False, True, True),
        ("_x9", True, True, True),
        ("9x", False, False, True),
        ("größe", False, False, True),
        ("with space", False, False, True),
        ("x\n", False, False, True),
        ("", False, False, False),
        ("\udcff", False, False, False),
    ],
)
def test_names_by_scheme(text: str, is_legacy_label: bool, is_legacy_metric: bool, is_utf8: bool) -> None:
    assert NameScheme.LEGACY.is_label_name(text) is is_legacy_label
    assert NameScheme.LEGACY.is_metric_name(text) is is_legacy_metric
    assert NameScheme.UTF8.is_label_name(text) is is_utf8
    assert NameScheme.UTF8.is_metric_name(text) is is_utf8


def test_lone_surrogates_cannot_be_written() -> None:
    assert is_encodable("ä")
    assert not is_encodable("\ud800")
