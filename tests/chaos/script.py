"""A client: a script as users write it, with a journal.

Run it with ``python -m chaos.script FOLDER``; the folder contains its plan and configuration.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from chaos.ledger import Journal
from chaos.plan import FORKED, RESOURCES, ClientPlan
from chaos.programs import payload
from qrmi_core import Config, QrmiError, QuantumResource, SubmissionUncertainError

SLOT_SECONDS = 20.0
RESULT_SECONDS = 60.0
RELEASE_SECONDS = 60.0
CHILD_SECONDS = 100.0
WORK_SECONDS = 60.0
"""After this time no further task is submitted, so that the client ends in `MOST_SECONDS`."""


class Script:
    """The client.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal")
        self._plan = ClientPlan(**json.loads((folder / "plan.json").read_text()))
        self._inputs = json.loads((folder / "inputs.json").read_text())
        self._results = Path(json.loads((folder / "results.json").read_text()))
        self._config = folder / "config.json"
        self._stopping = threading.Event()
        self._end_at = time.monotonic() + WORK_SECONDS

    def run(self) -> None:
        """Follow the plan."""
        if self._plan.exits_on_term:
            signal.signal(signal.SIGTERM, _exit)
        name = RESOURCES[self._plan.resource_type]
        qpu = Config.load(self._config).resource(name)
        match self._plan.holds:
            case "no":
                self._work(qpu)
            case "with":
                self.journal.write("acquiring")
                with qpu:
                    self.journal.write("acquired")
                    self._work(qpu)
                self.journal.write("released")
            case _:
                self.journal.write("acquiring")
                token = qpu.acquire(SLOT_SECONDS)
                self.journal.write("acquired", token=token)
                try:
                    self._work(qpu)
                finally:
                    self._release(qpu, token)

    def _release(self, qpu: QuantumResource, token: str) -> None:
        end = time.monotonic() + RELEASE_SECONDS
        while True:
            try:
                qpu.release(token)
            except QrmiError as error:
                self.journal.write("unreleased", token=token, kind=type(error).__name__)
                if time.monotonic() > end:
                    raise
                time.sleep(1)
            else:
                self.journal.write("released", token=token)
                return

    def _work(self, qpu: QuantumResource) -> None:
        parts = [
            range(start, len(self._plan.endings), self._plan.threads)
            for start in range(self._plan.threads)
        ]
        others = [threading.Thread(target=self._part, args=(qpu, part)) for part in parts[1:]]
        for other in others:
            other.start()
        try:
            children = [self._fork(qpu, FORKED + index) for index in range(self._plan.forks)]
            self._part(qpu, parts[0])
            for child in children:
                self._await(child)
        finally:
            self._stopping.set()
            for other in others:
                other.join()

    def _part(self, qpu: QuantumResource, numbers: range) -> None:
        try:
            for number in numbers:
                if self._stopping.is_set() or time.monotonic() > self._end_at:
                    return
                self._task(qpu, number, self._plan.endings[number])
        except Exception:
            self.journal.write("raw", text=traceback.format_exc())

    def _task(self, qpu: QuantumResource, number: int, ending: str) -> None:
        program = payload(self._plan.resource_type, self._inputs[str(number)])
        self.journal.write("intend", n=number)
        try:
            task = qpu.run(program, SLOT_SECONDS)
        except SubmissionUncertainError as error:
            self.journal.write("uncertain", n=number, text=str(error))
            return
        except QrmiError as error:
            self.journal.write("refused", n=number, kind=type(error).__name__, text=str(error))
            return
        self.journal.write("task", n=number, id=task.id)
        try:
            match ending:
                case "result":
                    self.journal.write(
                        "result", n=number, text=task.result(RESULT_SECONDS).value[:10_000]
                    )
                case "save":
                    task.save_result(
                        self._results / f"{self._plan.number}-{number}", RESULT_SECONDS
                    )
                    self.journal.write("saved", n=number)
                case "stop":
                    self.journal.write("stopping", n=number)
                    task.stop()
        except QrmiError as error:
            self.journal.write("failed", n=number, kind=type(error).__name__, text=str(error))
        except OSError as error:
            if ending != "save":
                raise
            self.journal.write("failed", n=number, kind="OSError", text=str(error))

    def _fork(self, qpu: QuantumResource, number: int) -> int:
        child = os.fork()
        if child:
            self.journal.write("forked", pid=child)
            return child
        try:
            self._task(qpu, number, "result")
        except BaseException as error:
            if isinstance(error, Exception):
                self.journal.write("raw", text=traceback.format_exc())
        finally:
            os._exit(0)

    def _await(self, child: int) -> None:
        end = time.monotonic() + CHILD_SECONDS
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                self.journal.write("hung", text=f"the forked child {child}")
                os.kill(child, signal.SIGUSR1)
                time.sleep(1)
                os.kill(child, signal.SIGKILL)
            time.sleep(0.05)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


class _Logged(logging.Handler):
    """A handler that records errors, and whether each has a traceback."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.ERROR)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        is_raw = kind is not None and not issubclass(kind, QrmiError)
        self._journal.write("raw" if is_raw else "logged", text=self.format(record))


def main(folder: Path) -> int:
    """Run the client of a folder; return its exit status."""
    faulthandler.register(signal.SIGUSR1)
    script = Script(folder)
    logging.getLogger().addHandler(_Logged(script.journal))
    status = 0
    try:
        script.run()
    except KeyboardInterrupt:
        script.journal.write("interrupted")
        status = 130
    except QrmiError as error:
        script.journal.write("error", kind=type(error).__name__, text=str(error))
        status = 1
    except Exception:
        script.journal.write("raw", text=traceback.format_exc())
        status = 70
    script.journal.write("end")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
