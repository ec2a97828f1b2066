"""A certificate's own words, from its DER form (RFC 5280, X.690): who, by whom, from when to when. To show, not to judge."""

import hashlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from nunchi.agent.emission import Emission
from nunchi.agent.errors import ServiceError

SEQUENCE, UTC_TIME, GENERALIZED_TIME, EXPLICIT_VERSION, EXTENSIONS = 0x30, 0x17, 0x18, 0xA0, 0xA3
ALTERNATIVE_NAMES = bytes.fromhex("551d11")
DNS_NAME = 0x82
ATTRIBUTES = {"550403": "CN", "550406": "C", "550407": "L", "550408": "ST", "55040a": "O", "55040b": "OU"}
NODES_MAX = 10_000
VERSIONS = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1", "TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is shown of one."""

    subject: str
    issuer: str
    not_after: float
    alternative_names: str
    serial_number: str
    fingerprint: str


def parse_certificate(content: bytes) -> Certificate:
    """ServiceError for what is not a certificate."""
    try:
        (_, certificate), *_ = nodes(content)
        (_, body), *_ = nodes(certificate)
        fields = [field for field in nodes(body) if field[0] != EXPLICIT_VERSION]
        serial_number = fields[0][1].lstrip(b"\0").hex()  # as Go's bytes of a number, two digits each
        issuer, validity, subject = fields[2][1], fields[3][1], fields[4][1]
        _, end = (time_of(kind, text) for kind, text in nodes(validity))
        extensions = b"".join(text for kind, text in fields[5:] if kind == EXTENSIONS)
    except (ValueError, IndexError) as error:
        raise ServiceError("the peer's certificate cannot be read") from error
    fingerprint = hashlib.sha256(content).hexdigest()
    names = alternative_names(extensions)
    return Certificate(name_of(subject), name_of(issuer), end, names, serial_number, fingerprint)


def nodes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value; ValueError where one ends beyond the text."""
    at = 0
    for _ in range(NODES_MAX):
        if at >= len(content):
            return
        tag, length, at = content[at], content[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(content[at : at + count], "big"), at + count
        if at + length > len(content):
            raise ValueError("a value is longer than its surroundings")
        yield tag, content[at : at + length]
        at += length


def time_of(kind: int, text: bytes) -> float:
    """Seconds since the epoch of a UTCTime or GeneralizedTime."""
    digits = text.decode("ascii")
    if kind == UTC_TIME:
        digits = ("20" if int(digits[:2]) < 50 else "19") + digits
    elif kind != GENERALIZED_TIME:
        raise ValueError("not a time")
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def name_of(content: bytes) -> str:
    """A distinguished name as text, most specific part first (RFC 2253)."""
    parts: list[str] = []
    for _, group in nodes(content):
        for _, pair in nodes(group):
            (_, key), (_, value) = list(nodes(pair))[:2]
            parts.append(f"{ATTRIBUTES.get(key.hex(), key.hex())}={escape(value.decode(errors='replace'))}")
    return ",".join(reversed(parts))


def escape(text: str) -> str:
    """A part of a distinguished name as RFC 2253 writes it."""
    escaped = "".join(f"\\{letter}" if letter in ',+"\\<>;' else letter for letter in text)
    return f"\\{escaped}" if escaped.startswith(("#", " ")) else escaped


def alternative_names(extensions: bytes) -> str:
    """The host names a certificate is for, separated by commas."""
    try:
        for _, group in nodes(extensions):
            for _, extension in nodes(group):
                (_, key), *_, (_, value) = nodes(extension)
                if key == ALTERNATIVE_NAMES:
                    (_, names), *_ = nodes(value)
                    return ",".join(name.decode(errors="replace") for kind, name in nodes(names) if kind == DNS_NAME)
    except (ValueError, IndexError):
        pass  # a certificate without names that can be read is still one
    return ""


def emit_tls(emit: Emission, wrapped: ssl.SSLSocket) -> Certificate:
    """The samples of a finished handshake, under blackbox_exporter's names. Python shows the peer's own certificate alone."""
    content = wrapped.getpeercert(binary_form=True)
    if not content:
        raise ServiceError("the peer has no certificate")
    certificate = parse_certificate(content)
    emit.gauge("probe_ssl_earliest_cert_expiry", certificate.not_after)
    emit.gauge(
        "probe_ssl_last_chain_info",
        1,
        fingerprint_sha256=certificate.fingerprint,
        issuer=certificate.issuer,
        serialnumber=certificate.serial_number,
        subject=certificate.subject,
        subjectalternative=certificate.alternative_names,
    )
    version = wrapped.version() or ""
    cipher = wrapped.cipher()
    if cipher:
        emit.gauge("probe_tls_cipher_info", 1, cipher=cipher[0])
    emit.gauge("probe_tls_version_info", 1, version=VERSIONS.get(version, version))
    return certificate
