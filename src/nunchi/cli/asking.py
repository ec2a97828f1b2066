"""Whom `nunchi query` asks: a server over its HTTP API. The data of its answer, or its own words about why there is none."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlencode

import click

from nunchi.kit.clock import SystemClock
from nunchi.kit.errors import InputError, WorldError
from nunchi.kit.http_client import HttpClient

URL = "http://127.0.0.1:9190"
ANSWER_BYTES_MAX = 256 << 20
TIMEOUT_SECONDS = 130.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


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

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(f'--url: "{url}" is not the address of a server: write it in full, as in {URL}')
        self.url = url.rstrip("/")

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
        async with HttpClient(SystemClock()) as client:
            response = await client.request(
                method, url, timeout_seconds=TIMEOUT_SECONDS, body_bytes_max=ANSWER_BYTES_MAX, **given
            )
        try:
            answer: dict[str, Any] = json.loads(response.body)
        except ValueError:
            text = response.body[:200].decode("utf-8", "replace").strip()
            raise WorldError(f"{self.url} answers {response.status}, not in JSON: {text}") from None
        if answer.get("status") != "success":
            raise QueryRefusedError(
                f"{answer.get('errorType', response.status)}: {answer.get('error', 'no reason given')}"
            )
        return answer
