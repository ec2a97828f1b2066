import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nunchi.model.symbols import TEXTS_AT_ONCE_MAX, rank_texts


def in_order(texts: list[str]) -> list[str]:
    return [texts[place] for place in np.argsort(rank_texts(texts))]


@given(st.lists(st.text(), unique=True), st.sampled_from([0, TEXTS_AT_ONCE_MAX]))
def test_texts_are_ranked_in_their_order_however_many_there_are(texts: list[str], more: int):
    many = list(dict.fromkeys(texts + [f"{number * 7919 % more}é" for number in range(more)]))
    assert in_order(many) == sorted(many)


def test_lone_surrogates_are_ranked_like_other_letters():
    texts = [f"{number}" for number in range(TEXTS_AT_ONCE_MAX)] + ["\ud800", "\U0001f600", "\uffff", ""]
    assert in_order(texts) == sorted(texts)
