"""`nunchi.kit.http_client_settings`: Prometheus's `http_config` block as it stands in a file."""

import pytest

from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.settings import Duration, SettingsError, dump, load


class Target(HttpClientSettings, frozen=True, forbid_unknown_fields=True):
    """A struct with fields of its own beside the block."""

    name: str = ""
    timeout: Duration = Duration(1000)


def test_the_block_stands_beside_other_fields() -> None:
    found = load(
        Target,
        """
name: x
timeout: 5s
basic_auth: {username: ann, password_file: p}
tls_config: {ca_file: ca.pem, insecure_skip_verify: true}
proxy_url: http://user:hunter2@proxy:1
no_proxy: a,b
proxy_connect_header: {X-Auth: [hunter2]}
follow_redirects: false
enable_http2: false
http_headers: {X-Scope: {values: [a, b], secrets: [hunter2], files: [f]}}
""",
        "p.yml",
    )
    assert found.timeout.seconds == 5
    assert found.basic_auth is not None
    assert found.basic_auth.password_file == "p"
    assert found.tls_config.insecure_skip_verify
    assert not found.follow_redirects
    assert "hunter2" not in dump(found)
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("basic_auth: {password: a, password_file: b}", "p.yml:1:42: password and password_file exclude each other"),
        ("basic_auth: {username: a, username_file: b}", "p.yml:1:42: username and username_file exclude each other"),
        ("authorization: {type: ' basic'}", "p.yml:1:23: Basic takes a user and a password: use basic_auth"),
        (
            "authorization: {credentials: a, credentials_file: b}",
            "p.yml:1:51: credentials and credentials_file exclude",
        ),
        ("bearer_token: a\nbearer_token_file: b", "p.yml:2:20: bearer_token and bearer_token_file exclude"),
        (
            "basic_auth: {username: a}\nauthorization: {credentials: b}",
            "p.yml:2:16: basic_auth and authorization exclude",
        ),
        ("bearer_token: a\nbasic_auth: {username: a}", "p.yml:1:15: basic_auth and bearer_token exclude"),
        ("oauth2: {token_url: 'http://h/'}", "p.yml:1:9: oauth2 needs client_id"),
        ("oauth2: {client_id: a}", "p.yml:1:9: oauth2 needs token_url"),
        ("no_proxy: a", "p.yml:1:11: needs proxy_url"),
        ("proxy_url: http://p\nproxy_from_environment: true", "p.yml:2:25: excludes proxy_url"),
        ("proxy_connect_header: {a: [b]}", "p.yml:1:23: needs proxy_url"),
        ("http_headers: {Authorization: {values: [a]}}", "p.yml:1:31: header Authorization is set by nunchi itself"),
        ("tls_config: {ca: a, ca_file: b}", "p.yml:1:30: ca and ca_file exclude each other"),
        ("tls_config: {cert_file: a}", "p.yml:1:13: a client certificate needs both cert and key"),
        ("proxy_url: proxy:3128", 'p.yml:1:12: proxy_url: "proxy:3128" is not a URL'),
    ],
)
def test_what_excludes_each_other_is_refused_at_its_place(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Target, text, "p.yml")
    assert str(caught.value).startswith(message)
