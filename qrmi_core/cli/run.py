"""`qrmi run`: a task from its submission to its result."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from qrmi_core.cli.app import Command, Options, pass_options
from qrmi_core.cli.completion import names
from qrmi_core.cli.progress import Progress
from qrmi_core.commands.exits import describe
from qrmi_core.commands.inputs import choose_payload, read_input
from qrmi_core.commands.output import say
from qrmi_core.commands.results import SPOOL_BYTES, print_result, save_result
from qrmi_core.deadline import Deadline, within
from qrmi_core.errors import (
    QrmiError,
    TaskCancelledError,
    TaskFailedError,
    WaitTimeoutError,
)
from qrmi_core.files import check_writable

if TYPE_CHECKING:
    from qrmi_core.payload import Payload
    from qrmi_core.resource import QuantumResource
    from qrmi_core.task import Task

_CLEANUP_SECONDS = 20.0
"""How long stopping and releasing may take; a scheduler kills 30 s after it asked to end."""


@click.command("run", cls=Command)
@click.argument("name", shell_complete=names)
@click.argument("input_name", metavar="INPUT", type=click.Path())
@click.argument("output", required=False, type=click.Path())
@click.option(
    "--payload", "kind", metavar="KIND", help="Kind of INPUT, where its keys do not tell."
)
@click.option("--keep", is_flag=True, help="Leave the task alone when interrupted or out of time.")
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
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
        with Progress() as progress:
            resource = options.open(name, on_wait=progress.waiting)
            payload = choose_payload(values, resource.payloads(), kind, name)
            run = _Run(options, progress, resource, address(name, resource), keep)
            run.take(payload, output, cast(BinaryIO, spool))
            resource.close()
        if output is None:
            try:
                print_result(cast(BinaryIO, spool))
            except BaseException as error:
                if not isinstance(error, BrokenPipeError):
                    run.say_where()
                raise


def address(name: str, resource: QuantumResource) -> str:
    """Return the NAME of this resource for further commands, also for a dynamic entry."""
    resource_id = resource.resource_id()
    known = name == resource_id or name.partition(":")[2] == resource_id
    return name if known else f"{name}:{resource_id}"


class _Run:
    """One run, which is undone if it fails."""

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

    def take(self, payload: Payload, output: str | None, spool: BinaryIO) -> None:
        """Acquire, submit, wait, fetch the result and release; undo on every way out."""
        try:
            self._acquire()
            task = self._submit(payload)
            self._wait(task)
            self._progress.doing("fetching the result")
            if output is None:
                task.write_result(spool)
            else:
                save_result(task, output)
            self._release(cancel_pending=False)
        except BaseException as error:
            self._undo(error)
            self._summarise(output)
            raise
        self._summarise(output)

    def say_where(self) -> None:
        """Say how to find the task again."""
        if self._task is not None:
            say(f"task {self._task.id} is kept: {self._line('task result', self._task.id)}")

    def _acquire(self) -> None:
        if self._resource.supports("acquire"):
            self._progress.doing("acquiring")
            with self._options.signals.fragile():
                self._token = self._resource.acquire(self._left())
                self._options.acquired(self._resource, self._name, self._token)

    def _submit(self, payload: Payload) -> Task:
        self._progress.doing("submitting")
        with self._options.signals.fragile():
            task = self._task = self._resource.run(
                payload, self._left(), on_transition=self._progress.moved
            )
            again = self._line("task stop", task.id)
            self._options.unfinished["task"] = f"task {task.id} may go on: {again}"
            self._progress.watch(task)
            say(f"task {task.id} started on {self._name}")
        return task

    def _wait(self, task: Task) -> None:
        try:
            task.wait(self._left())
            self._options.unfinished.pop("task")
        except WaitTimeoutError as error:
            # Whether it goes on is told apart, once it is known.
            seen = error.status.name if error.status is not None else "not seen yet"
            raise WaitTimeoutError(
                f"task {task.id} has not ended in {self._options.timeout:g} s (it is {seen})",
                status=error.status,
                resource_id=error.resource_id,
                task_id=task.id,
            ) from error

    def _left(self) -> float | None:
        left = self._deadline.remaining()
        if self._options.timeout and not left:
            raise WaitTimeoutError("the time is up", resource_id=self._resource.resource_id())
        return left

    def _undo(self, error: BaseException) -> None:
        stop = isinstance(error, KeyboardInterrupt | WaitTimeoutError) and not self._keep
        task = self._task
        with within(Deadline(_CLEANUP_SECONDS)):
            if task is not None and not isinstance(error, TaskFailedError | TaskCancelledError):
                # One that has completed meanwhile keeps its result.
                if stop and not task.done:
                    self._stop(task)
                else:
                    self.say_where()
            self._options.unfinished.pop("task", None)
            self._release(cancel_pending=stop)

    def _stop(self, task: Task) -> None:
        self._progress.doing("stopping")
        try:
            task.stop()
            say(f"task {task.id} was asked to stop")
        except QrmiError as failure:
            again = self._line("task stop", task.id)
            say(
                f"warning: task {task.id} could not be stopped: {describe(failure)}; again: {again}"
            )

    def _release(self, *, cancel_pending: bool) -> None:
        token, self._token = self._token, None  # one that is broken off is not tried again
        if token is None:
            return
        self._progress.doing("releasing")
        try:
            self._options.release(self._resource, token, cancel_pending=cancel_pending)
        except QrmiError as failure:
            again = self._options.unfinished.pop("release")
            say(f"warning: {again} ({describe(failure)})")

    def _summarise(self, output: str | None) -> None:
        task = self._task
        if task is None or not self._options.as_json:
            return
        summary = {
            "task": task.id,
            "resource": self._name,
            "status": task.history[-1].status.name if task.history else None,
            "history": [
                {"status": move.status.name, "at": move.at.isoformat()} for move in task.history
            ],
            "usage": self._usage(task),
        }
        # Standard output is the result's, unless that has a file of its own.
        click.echo(json.dumps(summary, ensure_ascii=False), err=output is None)

    def _usage(self, task: Task) -> dict[str, Any] | None:
        if not task.done or not self._resource.supports("task_usage"):
            return None
        with suppress(QrmiError), within(Deadline(_CLEANUP_SECONDS)):
            return task.usage().to_dict()
        return None

    def _line(self, command: str, argument: str) -> str:
        return self._options.line(command, self._name, argument)
