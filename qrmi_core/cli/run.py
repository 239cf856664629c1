"""`qrmi run`: a task from its submission to its result."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from qrmi_core.cli.app import Command, Options, pass_options, say
from qrmi_core.cli.completion import names
from qrmi_core.cli.exits import Interrupted, describe
from qrmi_core.cli.inputs import choose_payload, read_input
from qrmi_core.cli.progress import Progress
from qrmi_core.deadline import Deadline, within
from qrmi_core.errors import QrmiError, WaitTimeoutError
from qrmi_core.files import check_writable

if TYPE_CHECKING:
    from qrmi_core.payload import Payload
    from qrmi_core.resource import QuantumResource
    from qrmi_core.task import Task

_CLEANUP_SECONDS = 20.0
"""How long stopping and releasing may take; a scheduler kills 30 s after it asked to end."""
_SPOOL_BYTES = 2**23


@click.command("run", cls=Command)
@click.argument("name", shell_complete=names)
@click.argument("input_name", metavar="INPUT", type=click.Path())
@click.argument("output", required=False, type=click.Path())
@click.option("--payload", "kind", metavar="KIND", help="Kind of INPUT, where its keys do not tell.")
@click.option(
    "--keep", is_flag=True, help="Leave the task alone when interrupted or out of time."
)
@pass_options
def run_command(
    options: Options, name: str, input_name: str, output: str | None, kind: str | None, keep: bool
) -> None:
    """Run a task and write its result to OUTPUT, else to standard output.

    INPUT is a JSON file, or - for standard input. The task's id goes to standard error at once.
    The resource is acquired before and released after, where it can be. On Ctrl-C, SIGTERM and
    time-out the task is stopped.
    """
    output = None if output == "-" else output
    values = read_input(input_name)
    if output is not None:
        check_writable(output)
    with Progress() as progress:
        resource = options.open(name, on_wait=progress.waiting)
        payload = choose_payload(values, resource.payloads(), kind, name)
        run = _Run(options, progress, resource, address(name, resource), keep)
        try:
            run.take(payload, output)
        finally:
            resource.close()
    if output is None:
        run.print_result()


def address(name: str, resource: QuantumResource) -> str:
    """What to type to reach this resource again, also where `name` is a dynamic entry."""
    resource_id = resource.resource_id()
    known = name == resource_id or name.partition(":")[2] == resource_id
    return name if known else f"{name}:{resource_id}"


class _Run:
    """One run, and what it has begun and must undo."""

    def __init__(
        self, options: Options, progress: Progress, resource: QuantumResource, name: str, keep: bool
    ) -> None:
        self._options = options
        self._progress = progress
        self._resource = resource
        self._name = name
        self._keep = keep
        self._deadline = Deadline(options.timeout)
        self._token: str | None = None
        self._task: Task | None = None
        self._delivered = False
        self._result = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115

    def take(self, payload: Payload, output: str | None) -> None:
        """Acquire, submit, wait, fetch the result and release, whatever happens."""
        try:
            self._acquire()
            task = self._submit(payload)
            task.wait(self._left())
            self._progress.doing("fetching the result")
            if output is None:
                self._resource.write_task_result(task.id, self._result)  # type: ignore[arg-type]
            else:
                task.save_result(output)
        except BaseException as error:
            self._clean_up(error)
            self._summarise(output)
            raise
        self._release(cancel_pending=False)
        self._summarise(output)

    def print_result(self) -> None:
        """Write the result to standard output."""
        try:
            self._result.seek(0)
            shutil.copyfileobj(self._result, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError:
            self._say_where()
            raise

    def _left(self) -> float | None:
        left = self._deadline.remaining()
        if self._options.timeout and not left:
            raise WaitTimeoutError("the time is up", resource_id=self._resource.resource_id())
        return left
