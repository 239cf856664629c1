"""`task_runner`: run a task on a resource of the scheduler's job."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
import traceback
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from dotenv import load_dotenv

from qrmi._resource import QuantumResource
from qrmi_core import ConfigError, NotAcquiredError, QrmiError, TaskCancelledError, TaskFailedError
from qrmi_core.plugin import (
    DEFECT,
    SPOOL_BYTES,
    Deadline,
    Signals,
    check_writable,
    choose_payload,
    describe,
    job_resources,
    one_line,
    print_result,
    read_input,
    save_result,
    status_of,
    within,
)

if TYPE_CHECKING:
    from qrmi_core import Task

_log = logging.getLogger(__name__)

_LEVELS: Final = {"2": logging.ERROR, "3": logging.INFO}
_CLEANUP_SECONDS: Final = 20.0
"""Time limit for stopping a task; a scheduler kills 30 s after its first signal."""


class _Signals(Signals):
    """A handler of signals: the scheduler's first signal ends the run, and later ones are ignored.

    Slurm sends SIGCONT and SIGTERM together. SIGINT, sent by a person, is never ignored.
    """

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGCONT)

    _ending = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._ending and number != signal.SIGINT:
            return
        self._ending = True
        super()._handle(number, frame)


class App:
    """A single run of a task.

    Args:
        name: The name of one of the job's resources.
        input_filename: A JSON file with the payload.
        output_filename: The file for the result; empty for standard output.
    """

    def __init__(self, name: str, input_filename: str, output_filename: str | None = None) -> None:
        self._name = name
        self._input = input_filename
        self._output = output_filename or None
        self._task: Task | None = None

    @property
    def task_id(self) -> str:
        """The task's id, empty before it is submitted."""
        return self._task.id if self._task is not None else ""

    @property
    def is_running(self) -> bool:
        """True from the submission of the task until its end is reported."""
        return self._task is not None and not self._task.done

    def run(self) -> None:
        """Submit the task, wait for it and write its result; upon a signal, stop the task.

        Raises:
            ConfigError: The resource is not one of the job's, or its settings are wrong.
            InvalidInputError: The resource does not accept the input.
            TaskFailedError: The task failed.
            TaskCancelledError: The task was cancelled.
            KeyboardInterrupt: A signal arrived.
        """
        with _Signals() as signals, tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            self._run(signals, cast(BinaryIO, spool))

    def _run(self, signals: Signals, spool: BinaryIO) -> None:
        values = read_input(self._input)
        if self._output is not None:
            check_writable(self._output)
        job = job_resources()
        if self._name not in job:
            raise ConfigError(
                f"{self._name} is not available: QRMI_JOB_QPU_RESOURCES has "
                f"{', '.join(job) or 'nothing'}"
            )
        resource = QuantumResource(self._name, job[self._name], sleep=signals.sleep)
        payload = choose_payload(values, resource.payloads(), None, self._name)
        with ExitStack() as held:
            with signals.fragile():
                try:
                    task = self._task = resource.run(payload)
                except NotAcquiredError as error:
                    token = self._acquire(resource, error)
                    held.callback(self._release, signals, resource, token)
                    task = self._task = resource.run(payload)
                _log.info("Task ID: %s", task.id)
            self._finish(task, spool)
        resource.close()

    def _finish(self, task: Task, spool: BinaryIO) -> None:
        try:
            task.wait()
            if self._output is not None:
                save_result(task, self._output)
            else:
                task.write_result(spool)
                print_result(spool)
        except KeyboardInterrupt:
            with within(Deadline(_CLEANUP_SECONDS), extend=True):
                self._stop(task)
            raise
        except (TaskFailedError, TaskCancelledError):
            self._stop(task)
            raise
        except BaseException:
            _log.error("task %s is kept, and so is its result", task.id)
            raise
        self._stop(task)

    def _acquire(self, resource: QuantumResource, error: NotAcquiredError) -> str:
        """Acquire a resource that needs an acquisition, unless the scheduler has done so."""
        try:
            return resource.acquire()
        except QrmiError as failure:
            error.message += f"; and it cannot be acquired here: {failure.message}"
            raise error from failure

    def _release(self, signals: Signals, resource: QuantumResource, token: str) -> None:
        released = False
        try:
            with signals.fragile(), within(Deadline(_CLEANUP_SECONDS), extend=True):
                resource.release(token)
                released = True
        except QrmiError as error:
            _log.error("%s could not be released: %s", self._name, error)
        finally:
            if not released:
                _log.error("to release it: qrmi release %s %s", self._name, token)

    def _stop(self, task: Task) -> None:
        """Stop the task, like the published command: some vendors keep it until then."""
        try:
            task.stop()
        except QrmiError as error:
            _log.error("task %s could not be stopped: %s", task.id, error)


def run() -> None:
    """Run the command line and exit with its status."""
    parser = argparse.ArgumentParser(
        prog="task_runner", description="Run a task on a quantum resource of this job."
    )
    parser.add_argument("name", help="QPU resource name")
    parser.add_argument("input", help="Input file")
    parser.add_argument(
        "output", nargs="?", help="Write output to <file> instead of stdout", default=None
    )
    arguments = parser.parse_args()
    load_dotenv()
    logging.basicConfig(
        level=_level(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    sys.exit(_status(App(arguments.name, arguments.input, arguments.output)))


def _status(app: App) -> int:
    try:
        app.run()
    except (QrmiError, OSError, KeyboardInterrupt) as error:
        text = one_line(str(error)) if isinstance(error, QrmiError) else describe(error)
        print(f"task_runner: error: {text}", file=sys.stderr)
        return status_of(error)
    except Exception:
        traceback.print_exc()
        return DEFECT
    return 0


def _level() -> int:
    text = os.environ.get("SRUN_DEBUG", "")
    if text.isdecimal() and int(text) >= 4:
        return logging.DEBUG
    return _LEVELS.get(text, logging.INFO)
