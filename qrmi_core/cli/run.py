"""`qrmi run`: a task from its submission to its result."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from qrmi_core.bulk import BatchSubmissionError, run_all
from qrmi_core.cli.app import Command, Options, pass_options
from qrmi_core.cli.completion import names
from qrmi_core.cli.progress import Progress
from qrmi_core.commands.exits import describe, status_of
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
from qrmi_core.polling import as_completed

if TYPE_CHECKING:
    from qrmi_core.payload import Payload
    from qrmi_core.resource import QuantumResource
    from qrmi_core.task import Task

_CLEANUP_SECONDS = 20.0
"""How long stopping and releasing may take; a scheduler kills 30 s after it asked to end."""


@click.command("run", cls=Command)
@click.argument("name", shell_complete=names)
@click.argument("files", metavar="INPUT... [OUTPUT]", nargs=-1, required=True, type=click.Path())
@click.option("--payload", "kind", metavar="KIND", help="Kind of INPUT, if its keys fit several.")
@click.option(
    "--into",
    metavar="FOLDER",
    type=click.Path(),
    help="Run a task for each INPUT; the result of a.json is a.result.json in FOLDER.",
)
@click.option("--keep", is_flag=True, help="Do not stop tasks on a signal or time-out.")
@pass_options
def run_command(
    options: Options,
    name: str,
    files: tuple[str, ...],
    kind: str | None,
    into: str | None,
    keep: bool,
) -> None:
    """Run a task and write its result to OUTPUT, else to standard output.

    INPUT is a JSON file, or - for standard input. With --into all files are INPUTs, which are
    submitted side by side. A task's id goes to standard error at once. The resource is acquired
    before and released after, where it can be. On Ctrl-C, SIGTERM and time-out tasks are stopped.
    """
    if into is not None:
        _run_all(options, name, _outputs(files, into), kind, keep)
        return
    if len(files) > 2:
        raise click.UsageError("several INPUTs need a folder for their results: --into FOLDER")
    input_name, *rest = files
    output = rest[0] if rest and rest != ["-"] else None
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


def _run_all(
    options: Options, name: str, outputs: Mapping[str, str], kind: str | None, keep: bool
) -> None:
    with Progress() as progress:
        resource = options.open(name, on_wait=progress.waiting)

        def payloads() -> Iterator[Payload]:
            for input_name in outputs:
                yield choose_payload(read_input(input_name), resource.payloads(), kind, name)

        # All are read twice: a wrong one is found before any task exists, and none is kept.
        for _ in payloads():
            pass
        run = _Run(options, progress, resource, address(name, resource), keep)
        run.take_all(payloads(), outputs)
        resource.close()


def _outputs(files: Sequence[str], folder: str) -> dict[str, str]:
    """Return the file for the result of each INPUT.

    Raises:
        UsageError: Two results would have the same name, or an INPUT has none.
    """
    outputs: dict[str, str] = {}
    taken = set(map(os.path.realpath, files))
    for name in files:
        stem = Path(name).name.removesuffix(".json")
        output = os.path.join(folder, f"{stem}.result.json")
        if name == "-" or os.path.realpath(output) in taken:
            raise click.UsageError(
                f"--into cannot name the result of {name}: INPUTs need different names"
            )
        taken.add(os.path.realpath(output))
        outputs[name] = output
    os.makedirs(folder, exist_ok=True)
    for output in outputs.values():
        check_writable(output)
    return outputs


def address(name: str, resource: QuantumResource) -> str:
    """Return the NAME of this resource for further commands, also for a dynamic entry."""
    resource_id = resource.resource_id()
    known = name == resource_id or name.partition(":")[2] == resource_id
    return name if known else f"{name}:{resource_id}"


class _Announcing:
    """A resource for `run_all` that announces each task when it has started."""

    def __init__(self, resource: QuantumResource, started: Callable[[Task], object]) -> None:
        self._channel = resource._channel
        self._run = resource.run
        self._started = started

    def run(self, payload: Payload, timeout: float | None = None) -> Task:
        task = self._run(payload, timeout)
        self._started(task)
        return task


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
        self._task: Task | None = None  # the only one
        self._open: dict[Task, None] = {}  # all whose results are not fetched
        self._rows: list[dict[str, Any]] = []

    def take(self, payload: Payload, output: str | None, spool: BinaryIO) -> None:
        """Acquire, submit, wait, fetch the result and release; undo on every way out."""

        def steps() -> None:
            task = self._submit(payload)
            self._wait(task)
            self._progress.doing("fetching the result")
            if output is None:
                task.write_result(spool)
            else:
                save_result(task, output)

        try:
            self._through(steps)
        finally:
            self._summarise(output)

    def take_all(self, payloads: Iterable[Payload], outputs: Mapping[str, str]) -> None:
        """Do the same with many tasks: submit them, and save the result of each when it ends.

        Args:
            payloads: The payload of each INPUT.
            outputs: The file for each result, by INPUT.

        Raises:
            TaskFailedError: A task failed; the others were waited for.
            TaskCancelledError: A task was cancelled; likewise.
        """
        self._rows = [
            {"input": name, "output": None, "task": None, "status": None} for name in outputs
        ]
        try:
            self._through(lambda: self._fetch_all(self._submit_all(payloads), outputs))
        finally:
            if self._options.as_json:
                click.echo(json.dumps(self._rows, ensure_ascii=False))

    def _through(self, steps: Callable[[], None]) -> None:
        try:
            self._acquire()
            steps()
            self._release(cancel_pending=False)
        except BaseException as error:
            self._undo(error)
            raise

    def say_where(self) -> None:
        """Say how to find the tasks again."""
        ids = [task.id for task in self._open]
        if len(ids) == 1:
            say(f"task {ids[0]} is kept: {self._line('task result', ids[0])}")
        elif ids:
            say(f"{len(ids)} tasks are kept: {self._line('task wait', *ids)}")

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
            self._progress.watch(task)
            self._started(task)
        return task

    def _started(self, task: Task) -> None:
        self._open[task] = None
        again = self._line("task stop", task.id)
        self._options.unfinished[f"task {task.id}"] = f"task {task.id} may go on: {again}"
        say(f"task {task.id} started on {self._name}")

    def _ended(self, task: Task) -> None:
        self._options.unfinished.pop(f"task {task.id}", None)

    def _submit_all(self, payloads: Iterable[Payload]) -> list[Task]:
        self._progress.doing("submitting")
        announcing = _Announcing(self._resource, self._started)
        try:
            tasks = run_all(announcing, payloads, timeout=self._left())
        except BatchSubmissionError as error:
            failure = error
        else:
            for row, task in zip(self._rows, tasks, strict=True):
                row["task"] = task.id
            return tasks
        for index, task in zip(failure.indexes, failure.tasks, strict=True):
            self._rows[index]["task"] = task.id
        cause = failure.__cause__
        assert cause is not None
        for index, other in failure.errors.items():
            if other is not cause:
                say(f"warning: {self._rows[index]['input']}: {describe(other)}")
        missing = [row["input"] for row in self._rows if row["task"] is None]
        say(f"without a task: {', '.join(missing) or 'none'}")
        # Its text names payloads by number; the tasks that it lists were said at once.
        raise cause

    def _fetch_all(self, tasks: Sequence[Task], outputs: Mapping[str, str]) -> None:
        rows = dict(zip(tasks, self._rows, strict=True))
        failures: list[QrmiError] = []
        done = 0
        try:
            for done, task in enumerate(as_completed(tasks, self._left()), 1):
                self._ended(task)
                self._progress.doing(f"{done} of {len(tasks)} tasks have ended")
                row = rows[task]
                row["status"] = task.history[-1].status.name
                try:
                    save_result(task, outputs[row["input"]])
                    row["output"] = outputs[row["input"]]
                except (TaskFailedError, TaskCancelledError) as error:
                    say(f"warning: {row['input']}: {describe(error)}")
                    failures.append(error)
                del self._open[task]
        except WaitTimeoutError as error:
            raise WaitTimeoutError(
                f"{len(tasks) - done} of {len(tasks)} tasks have not ended in "
                f"{self._options.timeout:g} s",
                resource_id=error.resource_id,
            ) from error
        if failures:
            raise min(failures, key=status_of)

    def _wait(self, task: Task) -> None:
        try:
            task.wait(self._left())
            self._ended(task)
        except WaitTimeoutError as error:
            # Whether it goes on is told apart, once it is known.
            seen = "unfinished" if error.status is None else f"still {error.status.name.lower()}"
            raise WaitTimeoutError(
                f"task {task.id} is {seen} after {self._options.timeout:g} s",
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
        with within(Deadline(_CLEANUP_SECONDS), extend=True):
            if stop:
                self._stop()
            if not isinstance(error, TaskFailedError | TaskCancelledError):
                self.say_where()
            for task in list(self._open):
                self._ended(task)
            self._release(cancel_pending=stop)

    def _stop(self) -> None:
        self._progress.doing("stopping")
        # One that has completed meanwhile keeps its result.
        for task in [task for task in self._open if not task.done]:
            try:
                task.stop()
                say(f"task {task.id} was asked to stop")
            except QrmiError as failure:
                again = self._line("task stop", task.id)
                say(
                    f"warning: task {task.id} could not be stopped: {describe(failure)}; "
                    f"again: {again}"
                )
            del self._open[task]
            self._ended(task)

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
        with suppress(QrmiError), within(Deadline(_CLEANUP_SECONDS), extend=True):
            return task.usage().to_dict()
        return None

    def _line(self, command: str, *arguments: str) -> str:
        return self._options.line(command, self._name, *arguments)
