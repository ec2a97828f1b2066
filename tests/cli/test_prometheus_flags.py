"""Command lines that start Prometheus, given to nunchi: taken whole, and what has no effect is said with the reason."""

import io

import click
import pytest
from click.testing import CliRunner

from nunchi.cli.prometheus_flags import PROMETHEUS_FLAGS, warn_without_effect, with_prometheus_flags
from nunchi.cli.server import command as server_command
from nunchi.cli.server_flags import FLAGS
from nunchi.kit.logs import logger
from nunchi.server.flags import ServerFlags, flag_name
from nunchi.server.wiring import http_policy


@click.command
@with_prometheus_flags
def program() -> None:
    warn_without_effect(logger("test"))


def test_flags_without_effect_are_taken_and_said(log_text: io.StringIO) -> None:
    words = ["--web.console.templates=consoles", "--no-storage.tsdb.no-lockfile", "--rules.max-concurrent-evals", "4"]
    result = CliRunner().invoke(program, words)
    assert (result.exit_code, result.output) == (0, "")
    said = [line for line in log_text.getvalue().splitlines() if "flag has no effect" in line]
    assert [any(name in line for line in said) for name in ("--web.console.templates", "no-lockfile", "max-conc")] == [
        True, True, True,
    ]  # fmt: skip
    assert len(said) == 3
    assert 'reason="there are no console templates' in said[0]


def test_nothing_is_said_of_flags_that_were_not_given(log_text: io.StringIO) -> None:
    assert CliRunner().invoke(program, []).exit_code == 0
    assert log_text.getvalue() == ""


@pytest.mark.parametrize("flag", PROMETHEUS_FLAGS, ids=lambda flag: flag.name)
def test_every_flag_is_taken_in_its_forms(flag: object) -> None:
    [own] = [one for one in PROMETHEUS_FLAGS if one is flag]
    forms = [f"--{own.name}", f"--no-{own.name}"] if own.is_switch else [f"--{own.name}=1"]
    for form in forms:
        assert CliRunner().invoke(program, [form]).exit_code == 0, form


def test_no_flag_with_an_effect_is_among_those_without() -> None:
    assert {flag.name for flag in PROMETHEUS_FLAGS}.isdisjoint(flag_name(field) for field, _, _ in FLAGS)


def test_a_server_knows_its_prefix_its_connections_and_who_may_read() -> None:
    flags = ServerFlags(web_route_prefix="/team", web_max_connections=7, web_cors_origin="https://a")
    policy = http_policy(flags, None)
    assert (policy.prefix, policy.connections_max) == ("/team", 7)
    assert policy.cors_headers("https://a")["Access-Control-Allow-Origin"] == "https://a"


def test_agent_mode_is_refused_with_the_way_to_it() -> None:
    result = CliRunner().invoke(server_command, ["--agent"])
    assert result.exit_code == 2
    assert "nunchi agent" in result.output
