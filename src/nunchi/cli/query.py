"""`nunchi query`: PromQL asked of a server over its HTTP API; answers as tables, or as the server's JSON."""

import asyncio
import json
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import quote, urlencode

import click

from nunchi.kit.clock import SystemClock
from nunchi.kit.errors import InputError, WorldError
from nunchi.kit.http_client import HttpClient

URL = "http://127.0.0.1:9190"
ANSWER_BYTES_MAX = 256 << 20
TIMEOUT_SECONDS = 130.0
RANGE_ROWS_MAX = 20


class QueryRefusedError(InputError):
    """The server's own words about a query that it does not answer."""


@click.group(name="query")
def command() -> None:
    """Ask a server in PromQL."""


def with_asker(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags that say whom to ask and how to print, and its first argument: an `Asker`."""

    @click.option("--url", default=URL, show_default=True, envvar="NUNCHI_URL", help="Server to ask.")
    @click.option("--json", "as_json", is_flag=True, help="Print the server's data as JSON.")
    @wraps(function)
    def ask(url: str, as_json: bool, **options: Any) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(f'--url: "{url}" is not the address of a server: write it in full, as in {URL}')
        function(Asker(url.rstrip("/"), as_json), **options)

    return ask


class Asker:
    """One server, and how its answers are printed."""

    def __init__(self, url: str, as_json: bool) -> None:
        self.url = url
        self.as_json = as_json

    def ask(self, path: str, parameters: dict[str, Any]) -> Any:
        """The `data` of the server's answer; raises `QueryRefusedError` with its words, or a `WorldError`."""
        body = urlencode({key: value for key, value in parameters.items() if value is not None}, doseq=True)
        answer = asyncio.run(self._fetch(path, body))
        for notice in (*answer.get("warnings", ()), *answer.get("infos", ())):
            click.echo(notice, err=True)
        return answer["data"]

    async def _fetch(self, path: str, body: str) -> dict[str, Any]:
        async with HttpClient(SystemClock()) as client:
            response = await client.request(
                "GET",
                f"{self.url}/api/v1/{path}?{body}",
                timeout_seconds=TIMEOUT_SECONDS,
                body_bytes_max=ANSWER_BYTES_MAX,
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

    def show_json(self, data: Any) -> bool:
        """Print as JSON if that is asked for; whether it was."""
        if self.as_json:
            click.echo(json.dumps(data, indent=1, ensure_ascii=False))
        return self.as_json


@command.command()
@click.argument("expression")
@click.option("--time", help="Moment of evaluation, Unix seconds or RFC 3339; now by default.")
@with_asker
def instant(asker: Asker, expression: str, time: str | None) -> None:
    """Evaluate at one moment."""
    data = asker.ask("query", {"query": expression, "time": time})
    if asker.show_json(data):
        return
    result = data["result"]
    if data["resultType"] in ("scalar", "string"):
        click.echo(result[1])
    elif data["resultType"] == "vector":
        _print_rows([(series_text(series["metric"]), series["value"][1]) for series in result])
    else:
        _print_matrix(result)


@command.command(name="range")
@click.argument("expression")
@click.option("--start", required=True, help="First moment, Unix seconds or RFC 3339.")
@click.option("--end", required=True, help="Last moment.")
@click.option("--step", default="60s", show_default=True, help="Time between two moments.")
@with_asker
def range_(asker: Asker, expression: str, start: str, end: str, step: str) -> None:
    """Evaluate at many moments."""
    data = asker.ask("query_range", {"query": expression, "start": start, "end": end, "step": step})
    if not asker.show_json(data):
        _print_matrix(data["result"])


@command.command()
@click.argument("selectors", nargs=-1, required=True)
@click.option("--start", help="Only series with samples since then.")
@click.option("--end", help="Only series with samples until then.")
@with_asker
def series(asker: Asker, selectors: tuple[str, ...], start: str | None, end: str | None) -> None:
    """List the series that match any of the selectors."""
    data = asker.ask("series", {"match[]": selectors, "start": start, "end": end})
    if not asker.show_json(data):
        for labels in data:
            click.echo(series_text(labels))


@command.command()
@click.argument("label")
@click.option("--match", "selectors", multiple=True, help="Only of series that match.")
@with_asker
def labels(asker: Asker, label: str, selectors: tuple[str, ...]) -> None:
    """List the values of a label."""
    data = asker.ask(f"label/{quote(label, safe='')}/values", {"match[]": selectors})
    if not asker.show_json(data):
        for value in data:
            click.echo(value)


def series_text(labels: dict[str, str]) -> str:
    """A series as PromQL writes it."""
    inner = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items() if name != "__name__"
    )
    return f"{labels.get('__name__', '')}{{{inner}}}" if inner or "__name__" not in labels else labels["__name__"]


def _print_rows(rows: list[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{name:{width}}  {value}")
    if not rows:
        click.echo("no series", err=True)


def _print_matrix(result: list[dict[str, Any]]) -> None:
    for found in result:
        click.echo(series_text(found["metric"]))
        values = found.get("values", [])
        for timestamp, value in values[-RANGE_ROWS_MAX:]:
            click.echo(f"  {timestamp:.3f}  {value}")
        if len(values) > RANGE_ROWS_MAX:
            click.echo(f"  the last {RANGE_ROWS_MAX} of {len(values)}; --json prints all")
    if not result:
        click.echo("no series", err=True)
