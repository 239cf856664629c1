"""`qrmi task`: one step of a task at a time."""

from __future__ import annotations

import tempfile
from typing import Any, BinaryIO, cast

import click

from qrmi_core.cli.app import Group, Options, pass_options
from qrmi_core.cli.completion import names
from qrmi_core.cli.progress import Progress
from qrmi_core.cli.run import address
from qrmi_core.commands.inputs import choose_payload, read_input
from qrmi_core.commands.output import say, table
from qrmi_core.commands.results import SPOOL_BYTES, print_result, save_result
from qrmi_core.files import check_writable
from qrmi_core.outcomes import missing_result
from qrmi_core.polling import as_completed
from qrmi_core.values import TaskStatus

_name = click.argument("name", shell_complete=names)
_task_id = click.argument("task_id", metavar="ID")


@click.group("task", cls=Group)
def task_command() -> None:
    """Start, watch, fetch and stop tasks."""


@task_command.command()
@_name
@click.argument("input_name", metavar="INPUT", type=click.Path())
@click.option("--payload", "kind", metavar="KIND", help="Kind of INPUT, if its keys fit several.")
@pass_options
def start(options: Options, name: str, input_name: str, kind: str | None) -> None:
    """Submit a task and print its id.

    INPUT is a JSON file, or - for standard input. The resource is not acquired.
    """
    values = read_input(input_name)
    with Progress() as progress:
        resource = options.open(name, on_wait=progress.waiting)
        payload = choose_payload(values, resource.payloads(), kind, name)
        progress.doing("submitting")
        with options.signals.fragile():
            task_id = resource.task_start(payload, options.timeout)
            # Said before a signal can take effect, or nobody would know it.
            say(f"task {task_id} started on {address(name, resource)}")
    options.show({"task": task_id, "resource": address(name, resource)}, task_id)


@task_command.command()
@_name
@_task_id
@pass_options
def status(options: Options, name: str, task_id: str) -> None:
    """Print the state of a task: Queued, Running, Completed, Failed or Cancelled."""
    task = options.open(name).task(task_id)
    with options.bounded():
        word = task.status().name
    report = task.last_report
    assert report is not None  # the look has left one
    data = {
        "task": task_id,
        "status": word,
        "reason": report.reason,
        "code": report.code,
        "raw": report.raw,
        "queue_position": report.queue_position,
    }
    options.show(data, word)


@task_command.command()
@_name
@click.argument("task_ids", metavar="ID...", nargs=-1, required=True)
@pass_options
def wait(options: Options, name: str, task_ids: tuple[str, ...]) -> None:
    """Wait until tasks have ended, and print their states.

    They are polled together where the vendor can.
    """
    tasks = options.open(name).tasks(dict.fromkeys(task_ids))
    try:
        with Progress() as progress:
            for done, task in enumerate(as_completed(tasks, options.timeout), 1):
                progress.doing(f"{done} of {len(tasks)} tasks have ended")
                say(f"task {task.id}: {task.history[-1].status.name}")
    except BaseException:
        left = [task.id for task in tasks if not task.done]
        if left:
            again = options.line("task wait", name, *left)
            say(f"{len(left)} of {len(tasks)} tasks have not ended; again: {again}")
        raise
    finally:
        states = [task.last_status.name if task.last_status is not None else None for task in tasks]
        rows = [[task.id, state] for task, state in zip(tasks, states, strict=True)]
        data = [{"task": task_id, "status": state} for task_id, state in rows]
        options.show(data, table(["TASK", "STATUS"], rows))
    # A task that failed counts before one that was cancelled.
    for status in (TaskStatus.Failed, TaskStatus.Cancelled):
        for task in tasks:
            if task.last_status is status and task.last_report:
                raise missing_result(task.id, task.last_report)


@task_command.command()
@_name
@_task_id
@click.argument("output", required=False, type=click.Path())
@pass_options
def result(options: Options, name: str, task_id: str, output: str | None) -> None:
    """Wait for a task and write its result to OUTPUT, else to standard output."""
    output = None if output == "-" else output
    if output is not None:
        check_writable(output)
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
        with Progress() as progress:
            task = options.open(name).task(task_id, on_transition=progress.moved)
            progress.watch(task)
            task.wait(options.timeout)
            progress.doing("fetching the result")
            if output is None:
                task.write_result(cast(BinaryIO, spool))
            else:
                save_result(task, output)
        if output is None:
            print_result(cast(BinaryIO, spool))
    if output is not None and options.as_json:
        options.show({"task": task_id, "status": "Completed", "output": output}, "")


@task_command.command()
@_name
@_task_id
@pass_options
def counts(options: Options, name: str, task_id: str) -> None:
    """Wait for a task and print how often each bit string was measured.

    A plugin reads the vendor's result, whose text `qrmi task result` prints.
    """
    with Progress() as progress:
        task = options.open(name).task(task_id, on_transition=progress.moved)
        progress.watch(task)
        found = task.counts(options.timeout)
    rows = [[number, *row] for number, bits in enumerate(found) for row in sorted(bits.items())]
    options.show({"task": task_id, "counts": found}, table(["CIRCUIT", "BITS", "COUNT"], rows))


@task_command.command()
@_name
@_task_id
@pass_options
def logs(options: Options, name: str, task_id: str) -> None:
    """Print the logs of a task."""
    with options.bounded():
        text = options.open(name).task_logs(task_id)
    options.show({"task": task_id, "logs": text}, text.rstrip("\n"))


@task_command.command()
@_name
@_task_id
@pass_options
def stop(options: Options, name: str, task_id: str) -> None:
    """Request to stop a task."""
    with options.bounded():
        options.open(name).task_stop(task_id)
    options.show({"task": task_id, "stop_requested": True}, f"task {task_id} was asked to stop")


@task_command.command()
@_name
@_task_id
@pass_options
def usage(options: Options, name: str, task_id: str) -> None:
    """Print the consumption of a task, and its times."""
    with options.bounded():
        data = options.open(name).task_usage(task_id).to_dict()
    rows = [(key.replace("_", " "), value) for key, value in data.items()]
    options.show({"task": task_id, **data}, table(["task", task_id], rows))


@task_command.command("input")
@_name
@_task_id
@pass_options
def input_(options: Options, name: str, task_id: str) -> None:
    """Print the program of a task as the vendor keeps it."""
    with options.bounded():
        text = options.open(name).task_input(task_id)
    options.show({"task": task_id, "input": text}, text.rstrip("\n"))


@task_command.command("list")
@_name
@pass_options
def list_(options: Options, name: str) -> None:
    """List the tasks, newest first, where the vendor can."""
    with options.bounded():
        found = options.open(name).task_list()
    data: list[dict[str, Any]] = [
        {
            "task": info.id,
            "status": info.status.name if info.status is not None else None,
            "created_at": info.created_at.isoformat(timespec="seconds")
            if info.created_at
            else None,
        }
        for info in found
    ]
    options.show(data, table(["TASK", "STATUS", "CREATED"], [list(row.values()) for row in data]))
