"""TLS from settings as Prometheus writes them: contexts for servers and for clients.

Invariant: whatever is asked for and cannot be done is refused; no setting is silently weaker than written.
"""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from nunchi.kit.errors import InputError
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import FieldError
from nunchi.kit.tls_plain import AnsweringContext

TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
ClientAuthType = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
    "",
]
_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_TLS13_SUITES = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
_SUITES = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
_NO_CLIENT_CERTIFICATE = frozenset({"NoClientCert", ""})


class TlsServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tls_server_config` of a web configuration file."""

    cert: str = ""
    cert_file: str = ""
    key: Secret = Secret("")
    key_file: str = ""
    client_ca: str = ""
    client_ca_file: str = ""
    client_auth_type: ClientAuthType = "NoClientCert"
    client_allowed_sans: list[str] = []
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion = "TLS13"
    cipher_suites: list[str] = []
    prefer_server_cipher_suites: bool = True
    curve_preferences: list[str] = []

    def __post_init__(self) -> None:
        _one_of("cert", self.cert, self.cert_file, is_required=True)
        _one_of("key", self.key, self.key_file, is_required=True)
        _one_of("client_ca", self.client_ca, self.client_ca_file)
        has_authority = bool(self.client_ca or self.client_ca_file)
        if self.client_auth_type in {"RequestClientCert", "RequireAnyClientCert"}:
            message = f"{self.client_auth_type} takes certificates unverified, which is not supported: "
            raise FieldError(message + "use VerifyClientCertIfGiven or RequireAndVerifyClientCert", "client_auth_type")
        if self.client_auth_type not in _NO_CLIENT_CERTIFICATE and not has_authority:
            raise FieldError(f"{self.client_auth_type} needs client_ca_file: name it", "client_auth_type")
        if has_authority and self.client_auth_type in _NO_CLIENT_CERTIFICATE:
            raise FieldError(
                "client_ca is set but client_auth_type asks for no certificate: set it", "client_auth_type"
            )
        if self.client_allowed_sans and not self.requires_client_certificate:
            raise FieldError("needs client_auth_type RequireAndVerifyClientCert: set it", "client_allowed_sans")
        _check_versions(self.min_version, self.max_version)
        for index, suite in enumerate(self.cipher_suites):
            if suite not in _SUITES and suite not in _TLS13_SUITES:
                raise FieldError(
                    f'unknown cipher suite "{suite}": use one of {", ".join(_SUITES)}', "cipher_suites", index
                )
        for index, curve in enumerate(self.curve_preferences):
            if curve not in _CURVES:
                raise FieldError(
                    f'unknown curve "{curve}": use one of {", ".join(_CURVES)}', "curve_preferences", index
                )
        if len(self.curve_preferences) > 1:
            raise FieldError("only one curve can be preferred: keep one", "curve_preferences", 1)

    @property
    def requires_client_certificate(self) -> bool:
        """Whether nobody connects without a certificate of the authority."""
        return self.client_auth_type == "RequireAndVerifyClientCert"


class TlsClientSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tls_config` of everything that connects."""

    ca: str = ""
    ca_file: str = ""
    cert: str = ""
    cert_file: str = ""
    key: Secret = Secret("")
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion = "TLS13"

    def __post_init__(self) -> None:
        _one_of("ca", self.ca, self.ca_file)
        _one_of("cert", self.cert, self.cert_file)
        _one_of("key", self.key, self.key_file)
        if bool(self.cert or self.cert_file) != bool(self.key or self.key_file):
            raise ValueError("a client certificate needs both cert and key: give the other too")
        _check_versions(self.min_version, self.max_version)


def server_context(settings: TlsServerSettings, folder: Path) -> ssl.SSLContext:
    """A context for listening; relative paths are below `folder`. Raises InputError for what cannot be loaded."""
    context = AnsweringContext(ssl.PROTOCOL_TLS_SERVER)
    _set_versions(context, settings.min_version, settings.max_version)
    context.options |= ssl.OP_NO_COMPRESSION
    if settings.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    suites = [_SUITES[name] for name in settings.cipher_suites if name in _SUITES]
    if suites:
        context.set_ciphers(":".join(suites))
    for curve in settings.curve_preferences:
        context.set_ecdh_curve(_CURVES[curve])
    load_certificate(context, settings, folder)
    if settings.client_auth_type not in _NO_CLIENT_CERTIFICATE:
        _load_authority(context, settings.client_ca, settings.client_ca_file, folder)
        context.verify_mode = ssl.CERT_REQUIRED if settings.requires_client_certificate else ssl.CERT_OPTIONAL
    return context


def client_context(settings: TlsClientSettings, folder: Path) -> ssl.SSLContext:
    """A context for connecting; relative paths are below `folder`. Raises InputError for what cannot be loaded."""
    context = ssl.create_default_context()
    _set_versions(context, settings.min_version, settings.max_version)
    if settings.ca or settings.ca_file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _set_versions(context, settings.min_version, settings.max_version)
        _load_authority(context, settings.ca, settings.ca_file, folder)
    if settings.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert or settings.cert_file:
        load_certificate(context, settings, folder)
    return context


class ClientContext:
    """The TLS context of who connects again and again: made when first needed, and anew when a file of it has changed."""

    def __init__(self, settings: TlsClientSettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._files = certificate_files(settings, folder)
        if settings.ca_file:
            self._files.append(folder / settings.ca_file)
        self._stamps: list[int] = []
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """The context; raises InputError for what cannot be loaded."""
        stamps = [path.stat().st_mtime_ns for path in self._files if path.exists()]
        if self._context is None or stamps != self._stamps:
            self._context, self._stamps = client_context(self._settings, self._folder), stamps
        return self._context


def load_certificate(context: ssl.SSLContext, settings: TlsServerSettings | TlsClientSettings, folder: Path) -> None:
    """Give a context its certificate and key; connections made from then on use them."""
    with (
        _as_file(settings.cert, settings.cert_file, folder) as cert,
        _as_file(settings.key.reveal(), settings.key_file, folder) as key,
    ):
        try:
            context.load_cert_chain(cert, key, password=_no_password)
        except FileNotFoundError as error:
            missing = cert if not cert.exists() else key
            raise InputError(f"{missing}: no such file: create it, or name another") from error
        except (OSError, ValueError) as error:
            raise InputError(
                f"{cert} with {key}: {_reason(error)}; both must be PEM, belong together and be readable"
            ) from error


def certificate_files(settings: TlsServerSettings | TlsClientSettings, folder: Path) -> list[Path]:
    """The files that are replaced when a certificate is renewed, for who watches them."""
    return [folder / name for name in (settings.cert_file, settings.key_file) if name]


def _load_authority(context: ssl.SSLContext, inline: str, file_name: str, folder: Path) -> None:
    path = folder / file_name if file_name else Path("ca")
    try:
        if inline:
            context.load_verify_locations(cadata=inline)
        else:
            context.load_verify_locations(cafile=path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file: create it, or name another") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {_reason(error)}; it must be a PEM certificate") from error


def _set_versions(context: ssl.SSLContext, least: TlsVersion, most: TlsVersion) -> None:
    context.maximum_version = _VERSIONS[most]
    context.minimum_version = _VERSIONS[least]


def _check_versions(least: TlsVersion, most: TlsVersion) -> None:
    if least > most:
        raise FieldError(f"{least} is above max_version {most}: exchange them", "min_version")


def _one_of(name: str, inline: object, file_name: str, *, is_required: bool = False) -> None:
    if inline and file_name:
        raise FieldError(f"{name} and {name}_file exclude each other: keep one", f"{name}_file")
    if is_required and not inline and not file_name:
        raise ValueError(f"{name}_file is missing: name the PEM file")


@contextlib.contextmanager
def _as_file(inline: str, file_name: str, folder: Path) -> Iterator[Path]:
    """The path of a PEM; inline text is put into a file of ours alone for as long as OpenSSL reads it."""
    if not inline:
        yield folder / file_name
        return
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(inline)
        yield Path(name)
    finally:
        Path(name).unlink()


def _no_password() -> str:
    raise ValueError("the key is encrypted, which is not supported")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
