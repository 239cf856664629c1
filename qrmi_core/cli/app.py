"""The command's frame: common options, commands on demand, and errors as exit statuses."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO

import click

from qrmi_core._version import __version__
from qrmi_core.commands.exits import BROKEN_PIPE, describe, status_of
from qrmi_core.commands.output import say
from qrmi_core.commands.signals import SIGNAL_BASE, Signals
from qrmi_core.redaction import one_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from qrmi_core.registry import PluginInfo
    from qrmi_core.resource import QuantumResource

_LEVELS = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


class Options:
    """The values of the common options, before and after the command's name."""

    def __init__(self, signals: Signals | None = None) -> None:
        self.signals = signals or Signals()
        # Printed if the command ends before they are removed, wherever a signal breaks it off.
        self.unfinished: dict[str, str] = {}
        self.as_json = False
        self.config: str | None = None
        self.timeout: float | None = None
        self.verbosity = 0

    def open(self, name: str, **how: Any) -> QuantumResource:
        """Open the resource of this name."""
        from qrmi_core.config import open_resource

        with self.bounded():  # for discovery, where the name is a dynamic entry
            return open_resource(name, self.config, sleep=self.signals.sleep, **how)

    def bounded(self) -> AbstractContextManager[None]:
        """Bound the requests made in the block by the time-out."""
        from qrmi_core.deadline import Deadline, within

        return within(Deadline(self.timeout or None))

    def line(self, command: str, *arguments: str) -> str:
        """Return the line that runs a further command."""
        config = ["--config", self.config] if self.config else []
        return shlex.join(["qrmi", *command.split(), *config, *arguments])

    def acquired(self, resource: QuantumResource, name: str, token: str) -> None:
        """Have the line that releases the resource printed, unless `release` succeeds."""
        if not resource._acquisitions.ends(token):
            return
        again = self.line("release", name, token)
        self.unfinished["release"] = f"{name} was not released; again: {again}"

    def release(self, resource: QuantumResource, token: str, *, cancel_pending: bool) -> None:
        """Release a resource; a signal takes effect afterwards."""
        with self.signals.fragile():
            resource.release(token, cancel_pending=cancel_pending)
            self.unfinished.pop("release", None)

    def show(self, data: Any, text: str) -> None:
        """Print a command's result: the data with ``--json``, else the text."""
        click.echo(json.dumps(data, ensure_ascii=False) if self.as_json else text)


pass_options = click.make_pass_decorator(Options)


# Common options


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Note an option's value in `Options`, where it overrides one given further left."""
    options = context.find_object(Options)
    if options is None or (not value and value != 0):
        return
    if value != value:
        raise click.BadParameter("nan is not a number of seconds", context, parameter)
    if parameter.name == "verbosity":
        options.verbosity += value
        _set_level(options.verbosity)
    elif value is not False:
        setattr(options, str(parameter.name), value)


COMMON: tuple[click.Option, ...] = (
    click.Option(
        ["--json", "as_json"], is_flag=True, expose_value=False, callback=_keep, help="Print JSON."
    ),
    click.Option(
        ["--config"],
        metavar="FILE",
        type=click.Path(),
        expose_value=False,
        callback=_keep,
        help="Configuration file to use instead of the default ones.",
    ),
    click.Option(
        ["--timeout"],
        metavar="SECONDS",
        type=click.FloatRange(min=0),
        expose_value=False,
        callback=_keep,
        help="Give up after this time; 0 tries once.",
    ),
    click.Option(
        ["-v", "--verbose", "verbosity"],
        count=True,
        expose_value=False,
        callback=_keep,
        help="Log more; repeat it for debugging.",
    ),
)


class Command(click.Command):
    """A command that takes the common options."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        *own, last = super().get_params(ctx)
        return [*own, *COMMON, last]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):
                (common if parameter in COMMON else own).append(record)
        with formatter.section("Options"):
            formatter.write_dl(own)
        with formatter.section("Options of every command"):
            formatter.write_dl(common)


class Group(Command, click.Group):
    """A group of commands."""

    command_class = Command

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **{"no_args_is_help": False, **attributes})

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.own_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(limit=200))
                    for name, command in commands
                    if command
                ]
            )

    def own_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands to describe by their first sentences."""
        return self.list_commands(ctx)


# Commands

_HOMES = {
    "plugins": "plugins",
    "resources": "resources",
    "status": "resources",
    "target": "resources",
    "acquire": "resources",
    "release": "resources",
    "run": "run",
    "task": "task",
    "config": "check",
}
"""Our commands and their modules, in the order of the help."""
COMMAND_NAMES = frozenset(_HOMES)


class _Root(Group):
    """Our commands and those of plugins, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [*_HOMES, *_further()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name in _HOMES:
            module = import_module(f"qrmi_core.cli.{_HOMES[cmd_name]}")
            command: click.Command = getattr(module, f"{cmd_name}_command")
            return command
        return load_command(cmd_name) if cmd_name in _further() else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        commands = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*map(CompletionItem, commands), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        if further := _further():
            with formatter.section("Commands of plugins"):
                formatter.write_dl(
                    [(name, f"From {info.distribution}.") for name, info in further.items()]
                )

    def own_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        # Those of plugins are not imported: one that is broken does no harm here.
        return [*_HOMES]


def _further() -> dict[str, PluginInfo]:
    from qrmi_core.registry import COMMANDS, installed

    return {info.name: info for info in installed(COMMANDS) if info.name not in _HOMES}


def load_command(name: str) -> click.Command:
    """Import a plugin's command.

    Raises:
        PluginError: It cannot be used; the message names it and the cause.
    """
    from qrmi_core.errors import PluginError
    from qrmi_core.registry import COMMANDS, load

    command = load(name, COMMANDS)
    if not isinstance(command, click.Command):
        raise PluginError(
            f"plugin command {name} is not a click command; "
            "please report this to the authors of the plugin"
        )
    return command


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="qrmi", message="%(prog)s %(version)s")
def cli() -> None:
    """Acquire quantum resources, run tasks on them, release them.

    NAME is type:id (local:aer) with settings from the environment, or a resource of the
    scheduler's job, or an entry of a configuration file.
    """


# Running


def execute(argv: list[str], signals: Signals) -> int:
    """Run the command line and return the exit status."""
    if "_QRMI_COMPLETE" in os.environ:
        from qrmi_core.cli.completion import complete

        return complete(cli)
    with _logging():
        options = Options(signals)
        try:
            status = _run(argv or ["--help"], options)
            if sys.stdout is not None:
                sys.stdout.flush()
        except SystemExit:  # of a plugin's command
            raise
        except BaseException as error:
            signals.finish()
            status = _report(error, options)
    for stream in (sys.stdout, sys.stderr):
        _drop_broken(stream)
    return status


def _run(argv: list[str], options: Options) -> int:
    _set_level(0)
    try:
        # Not `cli.main`, which turns interrupts and broken pipes into statuses of its own.
        with cli.make_context("qrmi", argv, obj=options) as context:
            cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    return 0


def _report(error: BaseException, options: Options) -> int:
    for line in options.unfinished.values():
        say(f"warning: {line}")
    status = status_of(error)
    if status == BROKEN_PIPE:
        return status
    if options.signals.received is not None:
        # Also where the interrupt was caught on the way and became another error.
        status = SIGNAL_BASE + options.signals.received
    say(f"error: {describe(error)}")
    if options.verbosity > 1 and not isinstance(error, click.ClickException):
        import traceback

        traceback.print_exception(error)
    return status


def _drop_broken(stream: TextIO | None) -> None:
    """Discard output that cannot be written; else Python ends with a status of its own."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Handler(logging.Handler):
    """Writes to the current standard error stream, also below a status line."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            error = record.exc_info and record.exc_info[1]
            # Without its text, which may show secrets.
            cause = f" ({type(error).__name__})" if error else ""
            say(f"{record.levelname.lower()}: {one_line(record.getMessage())}{cause}")
        except Exception:
            self.handleError(record)


@contextmanager
def _logging() -> Iterator[None]:
    root, handler = logging.getLogger(), _Handler()
    # Its records hold whole addresses, and those of presigned requests are secrets.
    requests = logging.getLogger("urllib3")
    levels = root.level, requests.level
    root.addHandler(handler)
    requests.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        requests.setLevel(levels[1])


def _set_level(verbosity: int) -> None:
    word = os.environ.get("QRMI_LOG_LEVEL") or "warning"
    if word.lower() not in _LEVELS:
        raise click.UsageError(f"QRMI_LOG_LEVEL is {word!r}, not one of {', '.join(_LEVELS)}")
    level = _LEVELS[word.lower()]
    if verbosity:
        level = min(level, logging.INFO if verbosity == 1 else logging.DEBUG)
    logging.getLogger().setLevel(level)
