"""`nunchi.kit.proxy`."""

import pytest

from nunchi.kit.http_client_settings import ProxySettings
from nunchi.kit.proxy import is_exempt, proxy_of
from nunchi.kit.secrets import Url

PROXY = Url("http://proxy:3128")


@pytest.mark.parametrize(
    ("host", "port", "no_proxy", "exempt"),
    [
        ("a.example", None, "", False),
        ("a.example", None, "*", True),
        ("a.example", None, "example", True),
        ("a.example", None, ".example", True),
        ("example", None, ".example", False),
        ("a.example", None, "*.example", True),
        ("bexample", None, "example", False),
        ("A.Example.", None, " other , a.EXAMPLE ", True),
        ("a.example", 9090, "a.example:9090", True),
        ("a.example", 80, "a.example:9090", False),
        ("10.1.2.3", None, "10.0.0.0/8", True),
        ("11.1.2.3", None, "10.0.0.0/8", False),
        ("10.1.2.3", None, "10.1.2.3", True),
        ("fd00::1", None, "fd00::/8", True),
        ("10.1.2.3", None, "fd00::/8", False),
        ("localhost", None, "", True),
        ("127.0.0.1", None, "", True),
        ("::1", None, "", True),
    ],
)
def test_no_proxy_covers_names_domains_addresses_and_networks(
    host: str, port: int | None, no_proxy: str, exempt: bool
) -> None:
    assert is_exempt(host, port, no_proxy) is exempt


def test_the_proxy_of_the_settings_is_used_except_where_exempt() -> None:
    assert proxy_of("http://a.example/", ProxySettings(), {"http_proxy": "http://ignored"}) is None
    assert proxy_of("http://127.0.0.1/", ProxySettings(proxy_url=PROXY), {}) == "http://proxy:3128"
    settings = ProxySettings(proxy_url=PROXY, no_proxy="a.example")
    assert proxy_of("http://a.example/", settings, {}) is None
    assert proxy_of("http://b.example/", settings, {}) == "http://proxy:3128"


def test_the_environment_is_asked_only_where_the_settings_say_so() -> None:
    settings = ProxySettings(proxy_from_environment=True)
    environment = {"HTTP_PROXY": "http://one", "https_proxy": "http://two", "NO_PROXY": "c.example"}
    assert proxy_of("http://a.example/", settings, environment) == "http://one"
    assert proxy_of("https://a.example/", settings, environment) == "http://two"
    assert proxy_of("https://c.example/", settings, environment) is None
    assert proxy_of("http://a.example/", settings, {}) is None
