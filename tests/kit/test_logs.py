"""`nunchi.kit.logs`."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunchi.kit.logs import configure, logger
from nunchi.kit.secrets import Secret


@pytest.fixture(autouse=True)
def _quiet_afterwards() -> Iterator[None]:
    yield
    configure("error", "logfmt")


def test_logfmt_line_has_time_level_area_message_and_values() -> None:
    stream = io.StringIO()
    configure("info", "logfmt", stream)
    logger("intake.scrape").info("target is down", target="http://a:1/m", seconds=1.23456789, error=OSError("no route"))
    line = stream.getvalue()
    time, rest = line.split(" ", 1)
    assert time.startswith("time=20")
    assert time.endswith("Z")
    values = 'target=http://a:1/m seconds=1.23457 error="OSError: no route"'
    assert rest == f'level=info area=intake.scrape msg="target is down" {values}\n'


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    configure("warn", "logfmt", stream)
    log = logger("x")
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [line.split("level=")[1].split()[0] for line in stream.getvalue().splitlines()] == ["warn", "error"]


def test_configuring_again_replaces_the_stream() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("info", "logfmt", first)
    configure("info", "logfmt", second)
    logger("x").info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_what_libraries_say_comes_in_the_same_form_from_warnings_on() -> None:
    first, stream = io.StringIO(), io.StringIO()
    configure("debug", "logfmt", first)
    configure("debug", "logfmt", stream)
    logging.getLogger("asyncio").info("nothing much")
    logging.getLogger("asyncio").warning("a task was %s", "forgotten")
    assert first.getvalue() == ""
    [line] = stream.getvalue().splitlines()
    assert line.endswith('level=warn area=asyncio msg="a task was forgotten"')


def test_exception_carries_its_traceback_on_the_same_line() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    try:
        raise ValueError("bad")
    except ValueError as error:
        logger("x").exception("failed", error=error)
    (line,) = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert fields["error"] == "ValueError: bad"
    assert "Traceback" in fields["traceback"]


def test_json_writes_what_it_does_not_know_as_text_and_secrets_redacted() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    logger("x").info("m", password=Secret("hunter2"), count=3, names=("a", "b"))
    fields = json.loads(stream.getvalue())
    assert (fields["password"], fields["count"], fields["names"]) == ("<secret>", 3, ["a", "b"])


@given(st.text())
def test_no_value_breaks_a_logfmt_line(text: str) -> None:
    stream = io.StringIO()
    configure("info", "logfmt", stream)
    logger("x").info("m", value=text, last="1")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("last=1\n")
