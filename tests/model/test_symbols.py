import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.symbols import TEXTS_AT_ONCE_MAX, Symbols, rank_texts


def in_order(texts: list[str]) -> list[str]:
    return [texts[place] for place in np.argsort(rank_texts(texts))]


@given(st.lists(st.text(), unique=True), st.sampled_from([0, TEXTS_AT_ONCE_MAX]))
def test_texts_are_ranked_in_their_order_however_many_there_are(texts: list[str], more: int):
    many = list(dict.fromkeys(texts + [f"{number * 7919 % more}é" for number in range(more)]))
    assert in_order(many) == sorted(many)


def test_lone_surrogates_are_ranked_like_other_letters():
    texts = [f"{number}" for number in range(TEXTS_AT_ONCE_MAX)] + ["\ud800", "\U0001f600", "\uffff", ""]
    assert in_order(texts) == sorted(texts)


def test_symbols_take_over_others_and_leave_them_alone() -> None:
    first, second = Symbols(), Symbols()
    first.intern_all(["a", "b", "a"])
    second.take_over(first)
    assert list(second.texts) == ["", "a", "b"]
    assert second.intern_all(["c", "b", "c"]).tolist() == [3, 2, 3]
    assert first.find("c") is None
    assert len(first) == 3
