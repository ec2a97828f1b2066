"""Listeners beyond loopback: users, TLS and client certificates of the web configuration file, changed while serving."""

import asyncio
import base64
import io
import socket
import ssl
from pathlib import Path

import aiohttp
import bcrypt
import pytest
import trustme
from tests.kit.conftest import Serve
from tests.kit.served import PROTOBUF, ROUTES, answer

from nunchi.kit.errors import InputError
from nunchi.kit.http_server import HttpPolicy, HttpServer
from nunchi.testing.clock import VirtualClock


class Site:
    """A folder with a web configuration file, a certificate authority and a server certificate."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self.file = folder / "web.yml"
        self.issue()
        self.authority.cert_pem.write_to_path(folder / "ca.pem")

    def issue(self) -> None:
        certificate = self.authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(self.folder / "cert.pem")

    def policy(self, text: str) -> HttpPolicy:
        self.file.write_text(text)
        return HttpPolicy(web_config_file=self.file)

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
USERS = f"basic_auth_users: {{ann: {bcrypt.hashpw(b'one', bcrypt.gensalt(4)).decode()}}}\n"
ANN = {"Authorization": "Basic " + base64.b64encode(b"ann:one").decode()}


async def test_a_listener_open_to_others_is_refused_unless_that_is_wanted(
    serve: Serve, client: aiohttp.ClientSession
) -> None:
    with pytest.raises(InputError, match=r":0 is open to others without TLS and authentication: .*--web\.insecure"):
        await serve(ROUTES, address=":0")
    server = await serve(ROUTES, HttpPolicy(insecure=True), address="0.0.0.0:0")
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    assert await answer(client, "GET", f"{url}/hello") == (200, "hello")
    status, text = await answer(client, "POST", f"{url}/push", data=b"x", headers=PROTOBUF)
    assert status == 403
    assert "push without authentication" in text
    own_name = {"Host": f"{socket.gethostname()}:1"}
    assert (await answer(client, "GET", f"{url}/hello", headers=own_name))[0] == 200
    assert (await answer(client, "GET", f"{url}/hello", headers={"Host": "evil.example"}))[0] == 403


async def test_users_of_the_web_configuration_file_are_asked_for(
    serve: Serve, client: aiohttp.ClientSession, site: Site
) -> None:
    server = await serve(ROUTES, site.policy(USERS))
    async with client.get(f"{server.url}/hello") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert (await answer(client, "GET", f"{server.url}/nothing"))[0] == 401
    assert await answer(client, "GET", f"{server.url}/hello", headers=ANN) == (200, "hello")


async def test_tls_and_users_make_a_listener_fit_for_others(
    serve: Serve, client: aiohttp.ClientSession, site: Site
) -> None:
    with pytest.raises(InputError, match="open to others"):
        await serve(ROUTES, site.policy(TLS), address="0.0.0.0:0")
    server = await serve(ROUTES, site.policy(TLS + USERS), address="0.0.0.0:0")
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    assert url.startswith("https://")
    assert await answer(client, "POST", f"{url}/push", data=b"x", headers=ANN | PROTOBUF, ssl=site.trusting()) == (
        200,
        "1",
    )


async def test_client_certificates_and_their_names_are_asked_for(
    serve: Serve, client: aiohttp.ClientSession, site: Site
) -> None:
    text = TLS.replace(
        "}",
        ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [ok.example]}",
    )
    server = await serve(ROUTES, site.policy(text), address="0.0.0.0:0")
    url = server.url.replace("0.0.0.0", "127.0.0.1") + "/hello"
    with pytest.raises((aiohttp.ClientError, OSError)):
        await answer(client, "GET", url, ssl=site.trusting())
    for name, status in (("ok.example", 200), ("other.example", 403)):
        context = site.trusting()
        site.authority.issue_cert(name).configure_cert(context)
        assert (await answer(client, "GET", url, ssl=context))[0] == status


async def test_configured_headers_replace_ours(serve: Serve, client: aiohttp.ClientSession, site: Site) -> None:
    server = await serve(ROUTES, site.policy("http_server_config: {headers: {X-Frame-Options: SAMEORIGIN}}"))
    async with client.get(f"{server.url}/hello") as response:
        assert response.headers.getall("X-Frame-Options") == ["SAMEORIGIN"]


async def test_changed_users_and_renewed_certificates_are_taken_up(
    serve: Serve, client: aiohttp.ClientSession, site: Site, log_text: io.StringIO
) -> None:
    clock = VirtualClock()
    server: HttpServer = await serve(ROUTES, site.policy(TLS + USERS), clock=clock)
    watching = asyncio.create_task(server.run())

    async def certificate() -> bytes | None:
        _, writer = await asyncio.open_connection(*server.url.removeprefix("https://").split(":"), ssl=site.trusting())
        found: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return found

    before = await certificate()
    site.issue()
    site.file.write_text(TLS + USERS.replace("ann", "bob"))
    await clock.advance(10)
    assert await certificate() != before
    trusting = site.trusting()
    assert (await answer(client, "GET", f"{server.url}/hello", headers=ANN, ssl=trusting))[0] == 401
    bob = {"Authorization": "Basic " + base64.b64encode(b"bob:one").decode()}
    assert (await answer(client, "GET", f"{server.url}/hello", headers=bob, ssl=trusting))[0] == 200
    for broken in ("basic_auth_users: [", TLS, USERS, "", TLS.replace("}", ", min_version: TLS13}") + USERS):
        site.file.write_text(broken)
        await clock.advance(10)
        assert (await answer(client, "GET", f"{server.url}/hello", headers=bob, ssl=trusting))[0] == 200
    assert log_text.getvalue().count("the earlier one stays") == 5
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1", b"POST /api/v1/query HTTP/1.1", b"HEAD / HTTP/1.0"])
async def test_plain_http_to_a_tls_port_is_told_so(serve: Serve, site: Site, request_line: bytes) -> None:
    server = await serve(ROUTES, policy=site.policy(TLS))
    host, _, port = server.url.removeprefix("https://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_line + b"\r\nHost: x\r\n\r\n")
    head, _, body = (await reader.readuntil(b"http://\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 426 ")
    assert body == b"this port speaks TLS: write https:// in place of http://\n"
    writer.write(b"GET / HTTP/1.1\r\n\r\n")  # who goes on all the same is hung up on
    assert await reader.read() == b""
    writer.close()


async def test_what_is_neither_tls_nor_http_gets_no_answer(serve: Serve, site: Site) -> None:
    server = await serve(ROUTES, policy=site.policy(TLS))
    host, _, port = server.url.removeprefix("https://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"EHLO example.org\r\n")
    assert b"HTTP" not in await reader.read()
    writer.close()
