"""The guides against the program: every flag, route and metric family of a server is documented, and nothing else is."""

import re
from pathlib import Path

import click
import pytest
from tests.tidy.agent_instruments import read_instruments

from nunchi.cli.prometheus_flags import PROMETHEUS_FLAGS
from nunchi.cli.server import command
from nunchi.kit.clock import SystemClock
from nunchi.server.configuration import ConfigurationLoader
from nunchi.server.features import FEATURES
from nunchi.server.flags import ServerFlags
from nunchi.server.server import ServerParts
from nunchi.server.wiring import build_server
from nunchi.server.world import World

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guides"
PAGES = re.compile(r"/(query|graph|targets|alerts|rules|clouds|events|status|agents?|static/.*|favicon.ico|\{path:.*)?")
OTHER_FLAGS_HEADING = "## Flags of Prometheus without effect here"
FEATURES_HEADING = "## Features"
AGENT_HEADING = "# What an agent says of itself"


@pytest.fixture
async def parts(tmp_path: Path) -> ServerParts:
    flags = ServerFlags(storage_tsdb_path=tmp_path)
    server = build_server(flags, ConfigurationLoader(None, None, {}), World(clock=SystemClock()))
    return server._parts


def rows(guide: str, begin: str = "", end: str | None = None) -> list[list[str]]:
    """The cells of all table rows of a guide, but for heads, or of what stands between two headings."""
    text = (GUIDES / guide).read_text()
    text = text[text.index(begin) : None if end is None else text.index(end)]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_flag_is_in_the_table_with_its_default_and_meaning() -> None:
    expected = []
    for option in command.params:
        assert isinstance(option, click.Option)
        if option.hidden:
            continue
        shown = f"`{option.default}`" if isinstance(option.default, str) and option.default else ""
        if option.is_flag:
            shown = "on" if option.default is True else "off"
        expected.append([f"`{'/'.join((*option.opts, *option.secondary_opts))}`", shown, option.help])
    assert rows("flags.md", end=OTHER_FLAGS_HEADING)[1:] == expected


def test_every_flag_of_prometheus_without_effect_is_listed_with_the_reason() -> None:
    documented = [tuple(cells) for cells in rows("flags.md", OTHER_FLAGS_HEADING, FEATURES_HEADING)[1:]]
    assert documented == [(f"`--{flag.name}`", flag.reason) for flag in PROMETHEUS_FLAGS]


def test_every_feature_is_listed_with_its_effect_or_why_it_has_none() -> None:
    documented = [tuple(cells) for cells in rows("flags.md", FEATURES_HEADING)[1:]]
    assert documented == [(f"`{one.name}`", one.effect or f"none: {one.reason}") for one in FEATURES]


async def test_every_route_is_in_the_api_guide_and_none_that_is_not_served(parts: ServerParts) -> None:
    served = {(route.method, route.path) for route in parts.web._route_list if not PAGES.fullmatch(route.path)}
    documented = {
        (method, cells[1].strip("`"))
        for cells in rows("http-api.md")
        if len(cells) == 3 and cells[1].startswith("`/")
        for method in cells[0].split()
    }
    assert documented == served


async def test_no_route_stands_behind_another(parts: ServerParts) -> None:
    served = [(route.method, route.path) for route in parts.web._route_list]
    assert [route for route in set(served) if served.count(route) > 1] == []


async def test_every_metric_family_is_in_the_telemetry_guide(parts: ServerParts) -> None:
    instruments = parts.status._telemetry.instruments()
    expected = {
        (f"`{one.name}`", one.type, ", ".join(f"`{name}`" for name in one.label_names), one.help_text)
        for one in instruments
    }
    assert {tuple(cells) for cells in rows("telemetry.md", end=AGENT_HEADING)[1:]} == expected


def test_every_metric_family_of_an_agent_is_in_the_telemetry_guide() -> None:
    documented = {tuple(cells) for cells in rows("telemetry.md", begin=AGENT_HEADING)[1:]}
    assert documented == read_instruments()


def test_the_readme_leads_to_every_guide() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [path.name for path in GUIDES.glob("*.md") if f"docs/guides/{path.name}" not in readme] == []
