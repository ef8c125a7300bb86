"""The console entry point: one group, whose commands are imported when they are needed."""

from __future__ import annotations

import errno
import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from calibkit._version import __version__
from calibkit.cli.notes import note
from calibkit.cli.session import Session
from calibkit.cli.text import printable
from calibkit.errors import CalibkitError, ExitCode, unknown_name

COMMANDS = {
    "ingest": "calibkit.cli.ingest:ingest",
    "build-subset": "calibkit.cli.build_subset:build_subset",
    "profile": "calibkit.cli.profile:profile",
    "evaluate": "calibkit.cli.evaluate:evaluate",
    "stream": "calibkit.cli.stream:stream",
    "watch": "calibkit.cli.watch:watch",
    "sql": "calibkit.cli.sql:sql",
    "ask": "calibkit.cli.ask:ask",
    "plot": "calibkit.cli.plot:plot",
    "list": "calibkit.cli.list_:list_",
    "show": "calibkit.cli.show:show",
    "sensitivity": "calibkit.cli.sensitivity:sensitivity",
    "influence": "calibkit.cli.influence:influence",
    "compare": "calibkit.cli.compare:compare",
    "claims": "calibkit.cli.claims:claims",
    "recommend": "calibkit.cli.recommend:recommend",
    "report": "calibkit.cli.report:report",
    "export": "calibkit.cli.export:export",
    "compare-reference": "calibkit.cli.compare_reference:compare_reference",
    "verify": "calibkit.cli.verify:verify",
    "recipe": "calibkit.cli.recipe:recipe",
    "merge": "calibkit.cli.merge:merge",
    "backup": "calibkit.cli.backup:backup",
    "gc": "calibkit.cli.gc:gc",
    "info": "calibkit.cli.info:info",
    "bench": "calibkit.cli.bench:bench",
    "completion": "calibkit.cli.completion:completion",
}
"""Command -> module:function, in the order in which one meets them."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and ends every error as the contract says."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in their own order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name, importing its module, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that ``args`` begin with; a usage error names the nearest one."""
        if args and args[0] not in COMMANDS and not ctx.resilient_parsing:
            ctx.fail(unknown_name("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the options before the command."""
        with _printable_usage():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors become a message on stderr and an exit code."""
        debug = bool(ctx.params.get("debug"))
        try:
            with _printable_usage():
                return super().invoke(ctx)
        except click.NoSuchOption as error:
            groups = {name for parameter in self.params for name in parameter.opts}
            if error.option_name in groups and error.ctx is not None:
                option, name = error.option_name, error.ctx.info_name
                raise click.UsageError(
                    f"{option} stands before the command: calibkit {option} ... {name} ...",
                    error.ctx,
                ) from None
            raise
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (KeyboardInterrupt, click.Abort):
            if debug:
                note(traceback.format_exc())
            note("interrupted; what was finished is kept")
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
        except CalibkitError as error:
            if debug:
                note(traceback.format_exc())
            note(f"Error: {error}")
            raise click.exceptions.Exit(error.exit_code) from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
                note(f"Error: {str(error.filename)[:200]}...: {error.strerror}; choose another")
                raise click.exceptions.Exit(ExitCode.USAGE) from None
            if debug:
                note(traceback.format_exc())
                raise click.exceptions.Exit(1) from None
            said = " ".join(str(error).split())
            note(
                f"Error: unexpected {type(error).__name__}: {said}; run it again with"
                " `calibkit --debug ...` for the traceback"
            )
            raise click.exceptions.Exit(1) from None


@click.command(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "CALIBKIT",
        "max_content_width": 100,
    },
)
@click.option(
    "--store",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The DuckDB file with everything; it stands before the command."
    " [env: CALIBKIT_STORE; default: store/calibkit.duckdb]",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and debug messages.")
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, store: Path | None, *, debug: bool) -> None:
    """Find, build and judge calibration sets for quantized text classifiers.

    Data goes to stdout, everything else to stderr. Options may also come from the
    environment: --workers of evaluate is CALIBKIT_EVALUATE_WORKERS.

    \b
    Examples:
      calibkit evaluate recipes/quickstart.yaml
      calibkit sql "FROM summary WHERE noise = 0 ORDER BY accuracy DESC"
      calibkit ingest news --train train.csv --test test.csv
      calibkit --store other.duckdb list corpora

    \b
    Exit codes: 0 done; 1 some cells failed or are missing; 2 bad usage, recipe or data;
    3 store busy, newer or damaged; 4 infeasible as asked; 130 interrupted.
    """
    context.obj = Session(store, debug)
    if debug:
        _log_to_stderr()


@contextmanager
def _printable_usage() -> Iterator[None]:
    """Take control sequences out of click's own messages, which repeat what was typed."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = printable(error.message)
        raise


def _log_to_stderr() -> None:
    import logging

    class _Printable(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:  # noqa: A003 - logging's name
            return printable(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(name)s: %(message)s"))
    logger = logging.getLogger("calibkit")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG)


def main() -> None:
    """Run the command line and exit."""
    try:
        cli(prog_name="calibkit")
    except KeyboardInterrupt:  # before a command had begun
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(ExitCode.DONE)


if __name__ == "__main__":
    main()
