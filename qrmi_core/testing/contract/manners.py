"""The part of the contract about manners: contacts, ids, secrets, closing, threads, processes."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any
from urllib.parse import quote

import pytest

from qrmi_core.driver import Acquires, Driver, OpenBatches
from qrmi_core.errors import (
    AuthenticationFailedError,
    PermissionDeniedError,
    QrmiError,
    TaskNotFoundError,
)
from qrmi_core.resource import QuantumResource
from qrmi_core.testing.contract.base import ContractHooks
from qrmi_core.testing.contract.tasks import OF_A_TASK, OPTIONAL
from qrmi_core.testing.contract.values import secrets_of, shown_by
from qrmi_core.testing.loopback import Respond, VendorRequest, VendorResponse
from qrmi_core.values import TaskStatus

HOSTILE = (
    *(".", "..", "../status", "../device", "a/b", "?x=1", "a?b=c", "#", "a#b", "a%2Fb", "a b"),
    *("\N{LATIN SMALL LETTER A WITH DIAERESIS}", "a;b", "a&b=c", 'a"b', "a\\b"),
)
"""Ids that mean another address when they are put into a URL as they are."""


class MannersContract(ContractHooks):
    """Tests of manners."""

    def test_construction_contacts_nobody(self, driver: Driver[Any, Any]) -> None:
        before = self.count_requests()
        other = self.new_driver(driver)
        repr(other)
        other.supports(Acquires)
        other.metadata()
        assert self.count_requests() == before

    def test_the_process_is_left_as_it_is(self, qpu: QuantumResource) -> None:
        before = state_of_the_process()
        qpu.status()
        qpu.run(self.payload()).result(self.timeout_seconds)
        assert state_of_the_process() == before
        package = type(qpu._driver).__module__.partition(".")[0]
        assert package not in packages_of_other_threads()

    def test_an_interrupt_ends_a_call(self, qpu: QuantumResource) -> None:
        vendor, main = self.vendor(), threading.main_thread()
        if vendor is None or threading.current_thread() is not main:
            pytest.skip("the tests cannot interrupt a request (`vendor`)")

        def interrupt(_request: VendorRequest, respond: Respond) -> VendorResponse | None:
            assert main.ident
            signal.pthread_kill(main.ident, signal.SIGINT)
            return respond()

        task_id = qpu.task_start(self.payload(), timeout=self.timeout_seconds)
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            for call in (
                qpu.status,
                lambda: qpu._driver.task_status(task_id),
                lambda: qpu.task_start(self.payload()),
            ):
                vendor.fail("", interrupt)
                with pytest.raises(KeyboardInterrupt):
                    call()
        finally:
            signal.signal(signal.SIGINT, handler)
        qpu.status()

    # Ids

    @pytest.mark.parametrize("task_id", HOSTILE)
    def test_an_id_that_looks_like_an_address_is_an_unknown_task(
        self, qpu: QuantumResource, task_id: str
    ) -> None:
        driver = qpu._driver
        calls: dict[str, Callable[[str], object]] = {
            "task_status": driver.task_status,
            "task_result": lambda id: list(driver.task_result(id)),
            **{name: getattr(driver, name) for name in OF_A_TASK if qpu.supports(name)},
            "task_stop": driver.task_stop,
        }
        for name, call in calls.items():
            self._reaches_the_same(call, task_id)
            if not (name == "task_stop" and self.stop_deletes):
                with pytest.raises(TaskNotFoundError):
                    call(task_id)

    def test_an_id_that_looks_like_an_address_is_an_unknown_batch(
        self, qpu: QuantumResource
    ) -> None:
        if not qpu._driver.supports(OpenBatches):
            pytest.skip("the resource has no batches that are left open")
        for call in (
            qpu.batch_close,
            qpu.batch_tasks,
            lambda id: qpu.batch_add(id, [self.payload()]),
        ):
            for batch_id in HOSTILE:
                self._reaches_the_same(call, batch_id)
                with pytest.raises(TaskNotFoundError):
                    call(batch_id)

    def test_a_token_that_looks_like_an_address_releases_nothing(
        self, qpu: QuantumResource
    ) -> None:
        if not qpu._driver.supports(Acquires):
            pytest.skip("the resource cannot be acquired")
        self.count_requests()
        for token in HOSTILE:
            self._reaches_the_same(qpu.release, token)
            if qpu.supports("acquisition_usage"):
                self._reaches_the_same(qpu.acquisition_usage, token)

    def test_an_id_that_looks_like_an_address_is_an_unknown_resource(
        self, driver: Driver[Any, Any]
    ) -> None:
        self.count_requests()
        for resource_id in HOSTILE:
            self._reaches_the_same(lambda id: self.new_driver(driver, id).status(), resource_id)

    def _reaches_the_same(self, call: Callable[[str], object], identifier: str) -> None:
        """Check that an id is refused as an unknown one is, and leads to no other address."""
        expected, harmless = self._reached(call, self.unknown_task_id)
        reached, accepted = self._reached(call, identifier)
        assert reached <= expected
        assert harmless or not accepted

    def _reached(self, call: Callable[[str], object], identifier: str) -> tuple[set[str], bool]:
        """Return the requests of a call, without its id and queries; True if it is accepted."""
        before = len(self.requests() or ())
        try:
            call(identifier)
            accepted = True
        except QrmiError:
            accepted = False
        made = list(self.requests() or ())[before:]
        shown = quote(identifier, safe="")
        return {entry.partition("?")[0].replace(shown, "*") for entry in made}, accepted

    # Secrets

    def test_no_secret_is_shown(
        self, qpu: QuantumResource, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        task = qpu.run(self.payload())
        task.result(self.timeout_seconds)
        reported = [call(qpu, task.id) for name, call in OPTIONAL.items() if qpu.supports(name)]
        failures = [self._failure(qpu.task_status, self.unknown_task_id)]
        driver = qpu._driver
        shown = [
            *(caplog.text, repr(qpu), repr(driver), repr(driver.settings)),
            *(str(qpu.metadata()), str(qpu.status()), str(reported), *map(shown_by, failures)),
        ]
        for secret in secrets_of(driver, self.secrets):
            assert not any(secret in text for text in shown)

    def test_wrong_credentials_are_an_error_that_does_not_show_them(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        self.resource().status()  # the credentials of one object are not used by another
        qpu = self.wrong_credentials()
        if qpu is None:
            pytest.skip("the driver's tests have no wrong credentials (`wrong_credentials`)")
        refused = self._failure(qpu.task_start, self.payload())
        assert isinstance(refused, AuthenticationFailedError | PermissionDeniedError)
        assert not refused.uncertain
        failures = [refused, self._failure(qpu.task_status, self.unknown_task_id)]
        for secret in secrets_of(qpu._driver, self.secrets):
            assert not any(secret in shown_by(failure) for failure in failures)
            assert secret not in caplog.text

    def _failure(self, call: Callable[..., object], *arguments: object) -> QrmiError | None:
        try:
            call(*arguments)
        except QrmiError as error:
            return error
        return None

    # Closing

    def test_a_closed_resource_can_be_used_again(self, qpu: QuantumResource) -> None:
        task_id = qpu.task_start(self.payload(), timeout=self.timeout_seconds)
        with ThreadPoolExecutor(1) as another_thread:
            for _ in range(2):
                qpu.close()
                another_thread.submit(qpu.close).result()
                qpu.status()
                another_thread.submit(qpu.status).result()
        assert qpu.task(task_id).wait(self.timeout_seconds) is TaskStatus.Completed

    # Threads

    def test_a_resource_serves_many_threads_at_once(self, qpu: QuantumResource) -> None:
        begin = threading.Barrier(4)

        def run(_number: int) -> tuple[str, str]:
            begin.wait()
            task = qpu.run(self.payload())
            return task.id, task.result(self.timeout_seconds * 4).value

        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(run, range(4)))
        assert len({task_id for task_id, _ in outcomes}) == 4
        assert all(value for _, value in outcomes)

    def test_threads_get_the_tasks_that_they_submitted(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        if not qpu.supports("find_submission"):
            pytest.skip("the resource does not support find_submission")
        tags = [uuid.uuid4().hex for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            started = list(pool.map(lambda tag: self.start(qpu, tag), tags))
        assert [driver.find_submission(tag) for tag in tags] == started

    def test_threads_of_one_object_share_its_acquisition(
        self, qpu: QuantumResource, driver: Driver[Any, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not driver.supports(Acquires):
            pytest.skip("the resource cannot be acquired")
        calls: list[str] = []
        tokens: list[str | None] = []
        for name in ("acquire", "release"):
            method = getattr(driver, name)

            def counted(*given: Any, name: str = name, method: Any = method, **more: Any) -> object:
                calls.append(name)
                return method(*given, **more)

            monkeypatch.setattr(driver, name, counted)
        submit = driver.task_start

        def noted(*given: Any, acquisition: str | None, **more: Any) -> str:
            tokens.append(acquisition)
            return submit(*given, acquisition=acquisition, **more)

        monkeypatch.setattr(driver, "task_start", noted)
        inside, left = threading.Barrier(2), threading.Event()

        def hold(first: bool) -> None:
            with qpu:
                inside.wait(self.timeout_seconds)
                if not first:
                    left.wait(self.timeout_seconds)
                task = qpu.run(self.payload(), timeout=self.timeout_seconds)
                assert task.wait(self.timeout_seconds) is TaskStatus.Completed
            left.set()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(hold, (True, False)))
        assert len({*tokens}) == 1
        assert calls in (["acquire", "release"], []), "a scheduler's acquisition costs nothing"

    # Processes

    def test_a_forked_process_can_use_the_resource(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        task_id = qpu.task_start(self.payload(), timeout=self.timeout_seconds)

        def use() -> None:
            qpu.status()
            new = qpu.task_start(self.payload(), timeout=self.timeout_seconds)
            for each in (task_id, new):
                assert qpu.task(each).wait(self.timeout_seconds) is TaskStatus.Completed
            qpu.close()

        with held(locks_of(driver)):
            outcome = in_a_child(use, self.timeout_seconds)
        assert outcome == "done"
        assert qpu.task(task_id).wait(self.timeout_seconds) is TaskStatus.Completed


def state_of_the_process() -> dict[str, object]:
    """Return the settings of the process that belong to the user's program."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE)
    return {
        "environment": dict(os.environ),
        "working directory": os.getcwd(),
        "signal handlers": [signal.getsignal(number) for number in numbers],
        "socket timeout": socket.getdefaulttimeout(),
        "log level": (logging.root.level, logging.root.manager.disable),
    }


def packages_of_other_threads() -> set[str]:
    """Return the packages whose code is run by threads other than this one."""
    packages = set()
    for ident, top in sys._current_frames().items():
        frame: FrameType | None = top if ident != threading.get_ident() else None
        while frame:
            packages.add(str(frame.f_globals.get("__name__")).partition(".")[0])
            frame = frame.f_back
    return packages


def locks_of(driver: Driver[Any, Any]) -> list[Any]:
    """Return the locks of `threading` in a driver and in the objects of its own package."""
    kinds = (type(threading.Lock()), type(threading.RLock()))
    package = type(driver).__module__.partition(".")[0]
    found: list[Any] = []
    seen: list[object] = []
    waiting: list[object] = [driver]
    while waiting:
        one = waiting.pop()
        if any(one is each for each in seen):
            continue
        seen.append(one)
        for value in vars(one).values():
            if isinstance(value, kinds):
                found.append(value)
            elif type(value).__module__.partition(".")[0] == package and hasattr(value, "__dict__"):
                waiting.append(value)
    return found


@contextmanager
def held(locks: list[Any]) -> Iterator[None]:
    """Hold locks in another thread, which a forked child does not have."""
    acquired, finished = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in locks:
            lock.acquire()
        acquired.set()
        finished.wait()
        for lock in locks:
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    acquired.wait()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def in_a_child(function: Callable[[], object], timeout: float) -> str:
    """Call a function in a forked child; return ``done``, or what went wrong.

    Args:
        function: The function.
        timeout: Seconds after which a child that hangs is killed.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns that a child of several threads may hang: this is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        outcome = "done"
        try:
            function()
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        os.write(writing, outcome.encode("utf-8", "replace")[:4000])
        os._exit(0)
    os.close(writing)
    try:
        ended, _, _ = select.select([reading], [], [], timeout)
        if not ended:
            os.kill(child, signal.SIGKILL)
        return os.read(reading, 4000).decode() or f"it hung for {timeout:g} s"
    finally:
        os.waitpid(child, 0)
        os.close(reading)
