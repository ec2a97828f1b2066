"""`nunchi.kit.web_config` and `nunchi.kit.tls`: the file, before anything listens."""

import ssl
from pathlib import Path

import pytest
import trustme

from nunchi.kit.errors import InputError
from nunchi.kit.secrets import Secret
from nunchi.kit.tls import TlsClientSettings, TlsServerSettings, client_context, server_context
from nunchi.kit.web_config import WebConfig

HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certificate = trustme.CA().issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(tmp_path / "other.pem")
    return tmp_path


def refusal(folder: Path, text: str) -> str:
    (folder / "web.yml").write_text(text)
    with pytest.raises(InputError) as caught:
        WebConfig(folder / "web.yml")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}/")


def test_without_a_file_and_with_an_empty_one_nothing_is_asked_for(folder: Path) -> None:
    (folder / "web.yml").write_text("")
    for config in (WebConfig(None), WebConfig(folder / "web.yml")):
        assert config.ssl_context is None
        assert not config.users
        assert config.headers == {}
        assert not config.refresh()


def test_the_whole_schema_is_read(folder: Path) -> None:
    (folder / "web.yml").write_text(f"""
tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
  client_auth_type: VerifyClientCertIfGiven
  client_ca_file: cert.pem
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
  curve_preferences: [CurveP256]
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=60
basic_auth_users:
  alice: {HASH}
""")
    config = WebConfig(folder / "web.yml")
    assert config.ssl_context is not None
    assert config.ssl_context.verify_mode == ssl.CERT_OPTIONAL
    names = {cipher["name"] for cipher in config.ssl_context.get_ciphers() if cipher["protocol"] == "TLSv1.2"}
    assert names == {"ECDHE-RSA-AES128-GCM-SHA256"}
    assert config.headers == {"Strict-Transport-Security": "max-age=60"}
    assert config.users


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls_server_confi: {}", 'web.yml:1:1: unknown field "tls_server_confi"; did you mean "tls_server_config"?'),
        (
            "basic_auth_users: {alice: secret}",
            "web.yml:1:27: the password of alice is not a bcrypt hash: make one with",
        ),
        (f"basic_auth_users: {{'': {HASH}}}", "web.yml:1:19: a user needs a name"),
        ("http_server_config: {headers: {Server: x}}", 'web.yml:1:40: header "Server" cannot be set: use one of'),
        ("tls_server_config: {cert_file: cert.pem}", "web.yml:1:20: key_file is missing: name the PEM file"),
        (
            "tls_server_config: {cert_file: a, cert: b, key_file: k}",
            "web.yml:1:32: cert and cert_file exclude each other",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}",
            "web.yml:1:66: RequireAndVerifyClientCert needs client_ca_file",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAnyClientCert}",
            "web.yml:1:66: RequireAnyClientCert takes certificates unverified, which is not supported",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}",
            "web.yml:1:20: client_ca is set but client_auth_type asks for no certificate",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_allowed_sans: [x]}",
            "web.yml:1:69: needs client_auth_type RequireAndVerifyClientCert",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, min_version: TLS13, max_version: TLS12}",
            "web.yml:1:61: TLS13 is above max_version TLS12",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, cipher_suites: [RC4]}",
            'web.yml:1:64: unknown cipher suite "RC4"',
        ),
        ("tls_server_config: {cert_file: a, key_file: b, curve_preferences: [P1]}", 'web.yml:1:68: unknown curve "P1"'),
        ("tls_server_config: {cert_file: a.pem, key_file: key.pem}", "web.yml: "),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(folder: Path, text: str, message: str) -> None:
    assert refusal(folder, text).startswith(message)


def test_a_missing_or_foreign_key_is_named(folder: Path) -> None:
    missing = refusal(folder, "tls_server_config: {cert_file: cert.pem, key_file: none.pem}")
    assert missing == f"web.yml: {folder}/none.pem: no such file: create it, or name another"
    foreign = refusal(folder, "tls_server_config: {cert_file: cert.pem, key_file: other.pem}")
    assert f"{folder}/cert.pem with {folder}/other.pem: key values mismatch" in foreign
    (folder / "junk.pem").write_text("junk")
    assert "both must be PEM" in refusal(folder, "tls_server_config: {cert_file: junk.pem, key_file: key.pem}")


def test_inline_certificates_are_used_and_leave_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cert, key = (folder / "cert.pem").read_text(), (folder / "key.pem").read_text()
    before = sorted(tmp_path.iterdir())
    server_context(TlsServerSettings(cert=cert, key=Secret(key)), folder)
    client_context(TlsClientSettings(cert=cert, key=Secret(key), ca=cert), folder)
    assert sorted(tmp_path.iterdir()) == before


def test_a_client_verifies_unless_told_otherwise(folder: Path) -> None:
    context = client_context(TlsClientSettings(), folder)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    open_context = client_context(TlsClientSettings(insecure_skip_verify=True), folder)
    assert (open_context.verify_mode, open_context.check_hostname) == (ssl.CERT_NONE, False)
    only = client_context(TlsClientSettings(ca_file="cert.pem"), folder)
    assert len(only.get_ca_certs(binary_form=True)) <= 1
    with pytest.raises(InputError, match=r"none\.pem: no such file"):
        client_context(TlsClientSettings(ca_file="none.pem"), folder)


def test_half_a_client_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="needs both cert and key"):
        TlsClientSettings(cert_file="cert.pem")
