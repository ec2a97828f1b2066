"""`nunchi.kit.secrets`."""

import copy
import json
import logging
import pickle

import msgspec
import pytest

from nunchi.kit.secrets import Secret, Url, redact_url


def test_no_way_of_printing_shows_a_secret() -> None:
    secret = Secret("hunter2")
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        str([secret]),
        str({"a": secret}),
    ]
    assert not any("hunter2" in text for text in shown)
    assert secret.reveal() == "hunter2"


def test_a_secret_is_not_serialised() -> None:
    secret = Secret("hunter2")
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)


def test_a_secret_in_a_log_record_is_redacted() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "password %s", (Secret("hunter2"),), None)
    assert record.getMessage() == "password <secret>"


def test_secrets_are_equal_by_text_and_false_when_empty() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/path?q=1", "http://host/path?q=1"),
        ("http://user@host/", "http://user@host/"),
        ("https://user:pass@host:99/p?q#f", "https://user:<secret>@host:99/p?q#f"),
        ("https://user:p@ss@host/", "https://user:<secret>@host/"),
        ("https://user:@host/", "https://user:<secret>@host/"),
        ("http://[::1", "http://[::1"),
        ("http://u:p@[::1", "<secret>"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_url_of_settings_hides_its_password_and_keeps_it() -> None:
    url = Url.parse("https://user:pass@host:8443/api")
    assert "pass" not in f"{url} {url!r}"
    assert url.reveal() == "https://user:pass@host:8443/api"
    assert (url.scheme, url.host, url.path) == ("https", "host", "/api")
    assert url == Url.parse("https://user:pass@host:8443/api")


@pytest.mark.parametrize(
    "text", ["", "host:9090", "/path", "ftp://host", "http://", "http://host:99999/", "http://a b/", "http://[::1"]
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a URL"):
        Url.parse(text)
