"""Whom `nunchi query` asks: a server over its HTTP API. The data of its answer, or its own words about why there is none."""

import asyncio
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import click

from nunchi.kit.clock import SystemClock
from nunchi.kit.errors import InputError, WorldError
from nunchi.kit.http_client import HttpClient, Response
from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.http_errors import HttpConnectError, HttpTlsError
from nunchi.kit.settings import load_file

URL = "http://127.0.0.1:9190"
ANSWER_BYTES_MAX = 256 << 20
TIMEOUT_SECONDS = 130.0
UNAUTHORIZED = 401
PAGE_BYTES_MAX = 4096  # of what is no answer, looked through for words
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)


class QueryRefusedError(InputError):
    """The words of whoever was asked about a query that has no answer."""


class Asker(Protocol):
    """Whoever answers as Prometheus's HTTP API does."""

    def ask(self, path: str, parameters: dict[str, Any], method: str = "POST") -> Any:
        """The `data` of the answer; notices go to the standard error. Raises `QueryRefusedError` or a `WorldError`.

        path        below `/api/v1`
        parameters  None leaves one out, a sequence gives one several times
        """
        ...


def tell(notices: Sequence[str]) -> None:
    """Print remarks about an answer where they are not taken for the answer."""
    for notice in notices:
        click.echo(notice, err=True)


class ServerAsker:
    """Implements `Asker`: one server."""

    def __init__(self, url: str, http_config_file: Path | None = None) -> None:
        """`http_config_file` is Prometheus's `http_config`: users, tokens, certificates; its paths are below its folder."""
        if not url.startswith(("http://", "https://")):
            raise InputError(f'--url: "{url}" is not the address of a server: write it in full, as in {URL}')
        self.url = url.rstrip("/")
        self._settings, self._folder = HttpClientSettings(), Path()
        if http_config_file is not None:
            self._settings = load_file(HttpClientSettings, http_config_file)
            self._folder = http_config_file.absolute().parent

    def ask(self, path: str, parameters: dict[str, Any], method: str = "POST") -> Any:
        """See `Asker.ask`."""
        form = urlencode({key: value for key, value in parameters.items() if value is not None}, doseq=True)
        answer = asyncio.run(self._fetch(path, form, method))
        tell((*answer.get("warnings", ()), *answer.get("infos", ())))
        return answer["data"]

    async def _fetch(self, path: str, form: str, method: str) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{path}"
        given: dict[str, Any] = {"headers": FORM, "body": form.encode()}
        if method == "GET":
            url, given = f"{url}?{form}", {}
        async with HttpClient(SystemClock(), self._settings, folder=self._folder) as client:
            try:
                response = await client.request(
                    method, url, timeout_seconds=TIMEOUT_SECONDS, body_bytes_max=ANSWER_BYTES_MAX, **given
                )
            except HttpConnectError as error:
                cure = "does a server run there? --url or NUNCHI_URL name another, --path reads a data folder"
                raise WorldError(f"{self.url}: {error.reason}: {cure}") from error
            except HttpTlsError as error:
                raise WorldError(f"{self.url}: {error.reason}; --http.config.file has tls_config") from error
        if response.status == UNAUTHORIZED:
            raise WorldError(f"{self.url} asks who you are: give basic_auth or authorization in --http.config.file")
        try:
            answer: dict[str, Any] = json.loads(response.body)
        except ValueError:
            raise WorldError(f"{self.url} answers {_not_json(response)}") from None
        if answer.get("status") != "success":
            raise QueryRefusedError(
                f"{answer.get('errorType', response.status)}: {answer.get('error', 'no reason given')}"
            )
        return answer


def _not_json(response: Response) -> str:
    """What came in place of an answer of the API, and the cure."""
    text = response.body[:PAGE_BYTES_MAX].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        page = f'a web page, "{" ".join(html.unescape(title[1]).split())[:80]}"' if title else "a web page"
        return f"{response.status} with {page}: --url is to be the address of a server, or of what passes /api/v1 on to one"
    return f"{response.status}, not in JSON: {text[:200]}"
