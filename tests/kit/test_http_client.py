"""`nunchi.kit.http_client`, against real servers on loopback."""

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
from aiohttp import web

from nunchi.kit.clock import SystemClock
from nunchi.kit.http_client import HttpClient, HttpClientSettings, Response
from nunchi.kit.http_client_settings import (
    AuthorizationSettings,
    BasicAuthSettings,
    HeaderSettings,
    OAuth2Settings,
)
from nunchi.kit.http_errors import (
    HttpBodyTooLargeError,
    HttpClientError,
    HttpConnectError,
    HttpCredentialsError,
    HttpProtocolError,
    HttpRedirectError,
    HttpTimeoutError,
    HttpTlsError,
)
from nunchi.kit.secrets import Secret, Url
from nunchi.kit.tls import TlsClientSettings
from nunchi.testing.clock import VirtualClock

Answer = Callable[[web.BaseRequest], Any]


@asynccontextmanager
async def peer(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that answers every request by one function; gives its URL."""
    runner = web.ServerRunner(web.Server(answer, access_log=None, auto_decompress=False), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    scheme = "http" if context is None else "https"
    yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def echo(request: web.BaseRequest) -> web.Response:
    """Tells what arrived."""
    body = await request.read()
    return web.json_response(
        {"method": request.method, "path": request.path_qs, "headers": dict(request.headers), "body": body.decode()}
    )


def client(settings: HttpClientSettings | None = None, **arguments: Any) -> HttpClient:
    return HttpClient(SystemClock(), settings or HttpClientSettings(), **arguments)


def told(response: Response) -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(response.body)
    return found


async def test_a_request_arrives_as_it_was_made() -> None:
    async with peer(echo) as url, client() as http:
        response = await http.request("POST", f"{url}/a%2Fb?q=1%2B1", headers={"X-A": "b"}, body=b"text")
        arrived = told(response)
    assert response.status == 200
    assert response.headers["content-type"].startswith("application/json")
    assert (arrived["method"], arrived["path"], arrived["body"]) == ("POST", "/a%2Fb?q=1%2B1", "text")
    assert arrived["headers"]["X-A"] == "b"
    assert arrived["headers"]["Accept-Encoding"] == "identity"
    assert arrived["headers"]["User-Agent"] == "nunchi"
    assert "Content-Type" not in arrived["headers"]


async def test_a_large_body_is_sent_whole() -> None:
    async def size(request: web.BaseRequest) -> web.Response:
        total = 0
        async for part in request.content.iter_any():
            total += len(part)
        return web.Response(text=f"{request.content_length} {total}")

    async with peer(size) as url, client() as http:
        response = await http.request("POST", url, body=b"x" * (3 << 20))
    assert response.body == b"3145728 3145728"


async def test_an_answer_is_not_decoded() -> None:
    async def compressed(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=b"not really gzip", headers={"Content-Encoding": "gzip"})

    async with peer(compressed) as url, client() as http:
        response = await http.request("GET", url)
    assert response.body == b"not really gzip"


@pytest.mark.parametrize("status", [204, 400, 404, 500, 503])
async def test_any_status_is_an_answer(status: int) -> None:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status)

    async with peer(answer) as url, client() as http:
        assert (await http.request("GET", url)).status == status


async def test_an_answer_larger_than_wanted_is_given_up() -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 10_000)

    async def long(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=b"x" * 1001)

    async with peer(endless) as one, peer(long) as other, client() as http:
        for url in (one, other):
            with pytest.raises(HttpBodyTooLargeError, match="larger than 1000 bytes"):
                await http.request("GET", url, body_bytes_max=1000)


async def test_a_silent_peer_is_given_up_in_time() -> None:
    async def trickle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.01)

    async with peer(trickle) as url, client() as http:
        with pytest.raises(HttpTimeoutError, match=r"no whole answer within 0\.1 s"):
            await http.request("GET", url, timeout_seconds=0.1)


async def test_failures_name_method_url_and_cause_but_no_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with client() as http:
        with pytest.raises(HttpConnectError) as refused:
            await http.request("GET", f"http://ann:hunter2@127.0.0.1:{port}/x")
        assert str(refused.value) == f"GET http://ann:<secret>@127.0.0.1:{port}/x: connection refused"
        with pytest.raises(HttpConnectError, match="no such host"):
            await http.request("GET", "http://no-such-host.invalid/")
        for url in ("ftp://host/", "http://", "nonsense", "http://host:99999/"):
            with pytest.raises(HttpClientError):
                await http.request("GET", url)


async def test_a_header_that_would_smuggle_another_is_not_sent() -> None:
    async with peer(echo) as url, client() as http:
        with pytest.raises(HttpProtocolError, match="a header is not valid"):
            await http.request("GET", url, headers={"A": "b\r\nC: d"})


async def test_a_peer_that_speaks_no_http_or_hangs_up_is_one_clear_error() -> None:
    async def serve(answer: bytes) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(answer)
            await writer.drain()
            writer.close()

        return await asyncio.start_server(connected, "127.0.0.1", 0)

    cases: list[tuple[bytes, type[HttpClientError]]] = [
        (b"220 mail.example ESMTP\r\n", HttpProtocolError),
        (b"", HttpConnectError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", HttpConnectError),
    ]
    async with client() as http:
        for answer, error in cases:
            server = await serve(answer)
            with pytest.raises(error):
                await http.request("GET", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            server.close()
            await server.wait_closed()


async def test_credentials_are_sent_and_files_read_at_every_request(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(" first \n")
    (tmp_path / "user").write_text("ann")
    by_file = HttpClientSettings(authorization=AuthorizationSettings(credentials_file="token"))
    async with peer(echo) as url, client(by_file, folder=tmp_path) as http:
        assert told(await http.request("GET", url))["headers"]["Authorization"] == "Bearer first"
        (tmp_path / "token").write_text("second")
        assert told(await http.request("GET", url))["headers"]["Authorization"] == "Bearer second"
        own = {"Authorization": "Custom"}
        assert told(await http.request("GET", url, headers=own))["headers"]["Authorization"] == "Custom"
        (tmp_path / "token").unlink()
        with pytest.raises(HttpCredentialsError, match="token: No such file"):
            await http.request("GET", url)
    basic = HttpClientSettings(basic_auth=BasicAuthSettings(username_file="user", password=Secret("one")))
    async with peer(echo) as url, client(basic, folder=tmp_path) as http:
        expected = "Basic " + base64.b64encode(b"ann:one").decode()
        assert told(await http.request("GET", url))["headers"]["Authorization"] == expected


async def test_a_user_in_the_url_is_sent_as_a_header_unless_there_is_one() -> None:
    async with peer(echo) as url, client() as http:
        with_user = url.replace("//", "//ann:p%40ss@")
        response = await http.request("GET", with_user)
        assert told(response)["headers"]["Authorization"] == "Basic " + base64.b64encode(b"ann:p@ss").decode()
        assert "p%40ss" not in response.url
        own = await http.request("GET", with_user, headers={"Authorization": "Custom"})
        assert told(own)["headers"]["Authorization"] == "Custom"


async def test_configured_headers_are_added() -> None:
    headers = {"X-Scope": HeaderSettings(values=["a"]), "X-Token": HeaderSettings(secrets=[Secret("t")])}
    async with peer(echo) as url, client(HttpClientSettings(http_headers=headers)) as http:
        arrived = told(await http.request("GET", url))["headers"]
    assert (arrived["X-Scope"], arrived["X-Token"]) == ("a", "t")


async def test_redirects_are_followed_with_credentials_to_the_same_peer_only() -> None:
    async with peer(echo) as other:

        async def redirect(request: web.BaseRequest) -> web.Response:
            if request.path == "/here":
                return web.Response(status=307, headers={"Location": "/landed"})
            if request.path == "/away":
                return web.Response(status=302, headers={"Location": f"{other}/x"})
            return await echo(request)

        secret = HttpClientSettings(
            authorization=AuthorizationSettings(credentials=Secret("t")),
            http_headers={"X-Key": HeaderSettings(secrets=[Secret("k")])},
        )
        async with peer(redirect) as url, client(secret) as http:
            same = await http.request("POST", f"{url}/here", body=b"kept")
            assert same.url == f"{url}/landed"
            assert (told(same)["method"], told(same)["body"]) == ("POST", "kept")
            assert told(same)["headers"]["Authorization"] == "Bearer t"
            away = await http.request(
                "POST", f"{url}/away", body=b"lost", headers={"Cookie": "c", "Content-Type": "a/b"}
            )
            assert (told(away)["method"], told(away)["body"]) == ("GET", "")
            assert not {"Authorization", "X-Key", "Cookie", "Content-Type"} & set(told(away)["headers"])
        async with peer(redirect) as url, client(HttpClientSettings(follow_redirects=False)) as http:
            assert (await http.request("GET", f"{url}/away")).status == 302


async def test_redirects_have_an_end() -> None:
    async def forever(request: web.BaseRequest) -> web.Response:
        location = "file:///etc/passwd" if request.path == "/file" else "/again"
        return web.Response(status=302, headers={"Location": location})

    async with peer(forever) as url, client() as http:
        with pytest.raises(HttpRedirectError, match="more than 10 redirects"):
            await http.request("GET", url)
        with pytest.raises(HttpRedirectError, match="redirects to file, which is not followed"):
            await http.request("GET", f"{url}/file")


async def test_a_peer_without_tls_is_said_to_have_none() -> None:
    async with peer(echo) as url, client() as http:
        with pytest.raises(HttpTlsError, match="the other side does not speak it: write http://"):
            await http.request("GET", url.replace("http://", "https://"))


async def test_tls_is_verified_as_the_settings_say(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = authority.issue_cert("client.example")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("server.example").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL

    async def who(request: web.BaseRequest) -> web.Response:
        certificate = request.get_extra_info("peercert") or {}
        return web.Response(text=str([name for _, name in certificate.get("subjectAltName", ())]))

    def settings(**tls: Any) -> HttpClientSettings:
        return HttpClientSettings(tls_config=TlsClientSettings(**tls))

    async with peer(who, context) as url:
        for refused in (settings(), settings(ca_file="ca.pem"), settings(server_name="server.example")):
            async with client(refused, folder=tmp_path) as http:
                with pytest.raises(HttpTlsError, match="TLS: "):
                    await http.request("GET", url)
        async with client() as http:
            with pytest.raises(HttpTlsError, match="name the authority that signed it in ca_file"):
                await http.request("GET", url)
        async with client(settings(ca_file="ca.pem"), folder=tmp_path) as http:
            with pytest.raises(HttpTlsError, match="certificate is not valid") as mismatch:
                await http.request("GET", url)
            assert "ca_file" not in str(mismatch.value)
        trusted = settings(ca_file="ca.pem", server_name="server.example", cert_file="cert.pem", key_file="key.pem")
        async with client(trusted, folder=tmp_path) as http:
            assert (await http.request("GET", url)).body == b"['client.example']"
        async with client(settings(insecure_skip_verify=True), folder=tmp_path) as http:
            assert (await http.request("GET", url)).body == b"[]"
        async with client(settings(ca_file="none.pem"), folder=tmp_path) as http:
            with pytest.raises(HttpCredentialsError, match=r"none\.pem: no such file"):
                await http.request("GET", url)


async def test_a_proxy_is_asked_for_the_whole_url() -> None:
    async def proxy(request: web.BaseRequest) -> web.Response:
        return web.json_response({"target": str(request.url), "headers": dict(request.headers)})

    async with peer(proxy) as url:
        settings = HttpClientSettings(
            proxy_url=Url(url.replace("//", "//ann:one@")), proxy_connect_header={"X-Proxy": [Secret("p")]}
        )
        async with client(settings) as http:
            arrived = told(await http.request("GET", "http://peer.invalid:90/metrics"))
    assert arrived["target"] == "http://peer.invalid:90/metrics"
    assert arrived["headers"]["Proxy-Authorization"] == "Basic " + base64.b64encode(b"ann:one").decode()


async def test_a_token_is_fetched_kept_and_renewed() -> None:
    asked: list[dict[str, list[str]]] = []

    async def tokens(request: web.BaseRequest) -> web.Response:
        form = parse_qs((await request.read()).decode())
        if "Authorization" in request.headers:
            return web.Response(status=401)
        asked.append(form)
        return web.json_response({"access_token": f"t{len(asked)}", "token_type": "bearer", "expires_in": 60})

    clock = VirtualClock()
    async with peer(tokens) as token_url, peer(echo) as url:
        oauth2 = OAuth2Settings(
            client_id="id",
            client_secret=Secret("s"),
            token_url=Url(token_url),
            scopes=["a", "b"],
            endpoint_params={"audience": "x"},
        )
        async with HttpClient(clock, HttpClientSettings(oauth2=oauth2)) as http:

            async def header() -> str:
                found: str = told(await http.request("GET", url))["headers"]["Authorization"]
                return found

            assert await asyncio.gather(header(), header()) == ["Bearer t1", "Bearer t1"]
            await clock.advance(49)
            assert await header() == "Bearer t1"
            await clock.advance(2)
            assert await header() == "Bearer t2"
    assert asked[0] == {
        "grant_type": ["client_credentials"],
        "audience": ["x"],
        "scope": ["a b"],
        "client_id": ["id"],
        "client_secret": ["s"],
    }


async def test_a_token_that_is_not_given_is_a_failure_of_the_request() -> None:
    async def nothing(_request: web.BaseRequest) -> web.Response:
        return web.Response(text="{}")

    async with peer(nothing) as url:
        oauth2 = OAuth2Settings(client_id="id", token_url=Url(url.replace("//", "//u:hunter2@")))
        async with client(HttpClientSettings(oauth2=oauth2)) as http:
            with pytest.raises(HttpCredentialsError, match="answered no token") as caught:
                await http.request("GET", url)
    assert "hunter2" not in str(caught.value)


async def test_a_closed_client_connects_anew() -> None:
    async with peer(echo) as url:
        http = client()
        await http.request("GET", url)
        await http.close()
        assert (await http.request("GET", url)).status == 200
        await http.close()
