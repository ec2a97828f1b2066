"""The command line, one file per command group. Parses words and prints answers; decides nothing.

A command's module is imported when the command is called, so that `nunchi agent` loads nothing of the server.
"""

import sys
from difflib import get_close_matches
from importlib import import_module

import click

from nunchi import __version__
from nunchi.kit.errors import InputError, WorldError

COMMANDS = {
    "up": ("nunchi.cli.up", "Watch this machine: agent, server, rules, notifications and pages in one process."),
    "server": ("nunchi.cli.server", "Take samples in, store, query, judge, notify, show."),
    "agent": ("nunchi.cli.agent", "Watch this host and deliver to a server."),
    "query": ("nunchi.cli.query", "Ask a server, or a data folder, in PromQL."),
    "check": ("nunchi.cli.check", "Check configuration, rule files and expositions."),
    "test": ("nunchi.cli.test", "Run PromQL test scripts and unit tests of rules."),
    "tsdb": ("nunchi.cli.tsdb", "Look into a data folder."),
    "version": ("nunchi.cli.version", "Print version and platform."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            close = get_close_matches(cmd_name, COMMANDS)
            cure = f"did you mean {close[0]!r}?" if close else "`nunchi --help` lists them"
            raise click.UsageError(f"there is no command {cmd_name!r}: {cure}", ctx)
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands for `--help`, from `COMMANDS` alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])


EPILOG = """
\b
Examples:
  nunchi up
  nunchi server --config.file prometheus.yml
  nunchi query instant 'rate(node_cpu_seconds_total[1m])'
  nunchi check config prometheus.yml

Exit codes: 0 done; 1 the world did not allow it, or what was looked for was found wanting; 2 wrong input; 130 Ctrl-C.

Words are completed after: eval "$(_NUNCHI_COMPLETE=bash_source nunchi)", with zsh_source or fish_source for these shells.
"""


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="nunchi", message="%(prog)s %(version)s")
def nunchi() -> None:
    """nunchi: a complete monitoring system. `nunchi up` watches this machine; the rest builds a fleet of it."""


def main() -> None:
    """Run the command line. A mistake of input ends with 2, a failure of the world with 1, each with one line."""
    try:
        code = nunchi.main(prog_name="nunchi", standalone_mode=False)
    except click.Abort:
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = 2
    except click.ClickException as error:
        code = _say(error.format_message(), 2)
    except InputError as error:
        code = _say(str(error), 2)
    except WorldError as error:
        code = _say(str(error), 1)
    sys.exit(code if isinstance(code, int) else 0)


def _say(message: str, code: int) -> int:
    click.echo(f"nunchi: {' '.join(message.split())}", err=True)
    return code
