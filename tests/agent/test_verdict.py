"""What answers mean: a server's word ends a payload, what others answer in its place never does."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from nunchi.agent.forwarder.verdict import Fate, acknowledgement, judge, retry_after_seconds, words_of_answer
from nunchi.kit.http_client import Response

PAGE = b"<!DOCTYPE html>\n<html><head><title>502 Bad &amp; ugly\n Gateway</title><style>p{}</style></head><p>sorry</p></html>"


def answer(status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> Response:
    headers = CIMultiDict({"Content-Type": content_type} if content_type else {})
    return Response(status, CIMultiDictProxy(headers), body, "http://server/api/v1/push")


def test_an_acknowledgement_says_what_was_known_and_what_is_rejected() -> None:
    verdict = judge(answer(200, b'{"accepted": 5, "duplicate": 2, "rejected": {"too_old": 3}}', "application/json"))
    assert (verdict.fate, verdict.duplicate, verdict.rejected) == (Fate.ACCEPTED, 2, {"too_old": 3})


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"duplicate": "x"}', PAGE])
def test_a_success_that_acknowledges_nothing_keeps_the_payload(body: bytes) -> None:
    assert acknowledgement(body) is None
    verdict = judge(answer(200, body))
    assert verdict.fate is Fate.KEPT
    assert "is this the server's address?" in verdict.reason


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_a_server_cannot_read_is_refused_with_its_words(status: int) -> None:
    verdict = judge(answer(status, b"payload: its column 3 is not there\n"))
    assert verdict.fate is Fate.REFUSED
    assert verdict.reason == f"http://server/api/v1/push answers {status}: payload: its column 3 is not there"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PAGE, "text/html"),
        (b"Client sent an HTTP request to an HTTPS server.\n", ""),
        (b"<?xml version='1.0'?><error/>", "application/xml"),
    ],
)
def test_what_somebody_on_the_way_refuses_is_kept(body: bytes, content_type: str) -> None:
    assert judge(answer(400, body, content_type)).fate is Fate.KEPT


@pytest.mark.parametrize("status", [301, 401, 403, 404, 409, 415, 429, 500, 503])
def test_everything_else_is_kept(status: int) -> None:
    assert judge(answer(status, b"not now")).fate is Fate.KEPT


def test_of_a_page_its_title_is_told_and_none_of_its_markup() -> None:
    assert words_of_answer(answer(502, PAGE)) == '"502 Bad & ugly Gateway", a web page and not a server of agents'
    assert words_of_answer(answer(502, b" <html><body>\n<h1>Oh <i>no</i></h1>")).startswith('"Oh no"')
    assert words_of_answer(answer(502, b"<html>")) == "a web page and not a server of agents"
    assert words_of_answer(answer(502, b"two\nlines")) == "two lines"
    assert len(words_of_answer(answer(502, b"x" * 5000))) == 200


def test_retry_after_is_bounded() -> None:
    assert retry_after_seconds("7") == 7
    assert retry_after_seconds("99999") == 300
    assert retry_after_seconds("Wed, 21 Oct 2026 07:28:00 GMT") == 0
    assert retry_after_seconds("-1") == 0
