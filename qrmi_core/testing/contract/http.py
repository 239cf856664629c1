"""Every operation of a REST driver with every fault of services and networks, to subclass."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any, ClassVar

import attrs
import pytest

from qrmi_core.driver import Acquires, Discovers
from qrmi_core.errors import (
    AuthenticationFailedError,
    DriverDefectError,
    QrmiError,
    SubmissionUncertainError,
)
from qrmi_core.resource import QuantumResource
from qrmi_core.retry import PollingPolicy
from qrmi_core.testing.contract.base import ContractHooks
from qrmi_core.testing.contract.values import secrets_of, shown_by
from qrmi_core.testing.loopback import (
    Fault,
    Faults,
    LoopbackVendor,
    Respond,
    VendorRequest,
    VendorResponse,
)

Operation = Callable[[Any, QuantumResource, str], object]
"""Called with the contract, a resource, and the id of a task that has ended."""

_FAST: Mapping[str, Any] = {"first_pause_seconds": 0.001}
_SHORT: Mapping[str, Any] = {
    "read_timeout_seconds": 0.15,
    "transfer_timeout_seconds": 0.15,
    "attempts": 2,
}
_SILENCE_SECONDS = 0.4
_CALL_SECONDS = 30.0
_SILENT = {"stalled", "silent after"}
_OTHER_TYPES: tuple[Any, ...] = (None, 7, "text", [None], {})


def _elsewhere(request: VendorRequest, _respond: Respond) -> VendorResponse:
    return VendorResponse(302, b"", {"Location": f"http://{request.headers['Host']}/elsewhere"})


_PASSING: dict[str, Fault] = {
    "408": Faults.response(408),
    "429": Faults.response(429),
    "429 for 0 s": Faults.response(429, Retry_After="0"),
    "500": Faults.response(500, b"<html>oops</html>", Content_Type="text/html"),
    "503": Faults.response(503),
    "503 for 0 s": Faults.response(503, Retry_After="0"),
    "504": Faults.response(504),
    "lost before": Faults.lost_before,
    "lost after": Faults.lost_after,
    "502 after": Faults.bad_gateway_after,
    "truncated": Faults.truncated,
    "stalled": Faults.stalled(_SILENCE_SECONDS),
    "silent after": Faults.silent_after(_SILENCE_SECONDS),
}
_REFUSALS: dict[str, Fault] = {
    **{str(code): Faults.response(code, b"no") for code in (400, 401, 403, 404, 409, 413, 422)},
    "302": _elsewhere,
}
_CONTENTS: dict[str, Fault] = {
    "malformed": Faults.malformed,
    "page": Faults.page,
    "a list": Faults.response(200, []),
    "an object": Faults.response(200, {}),
}
_HTML = {"Content-Type": "text/html"}
_WITH_EFFECT = {"task_stop", "release"}
_OF_TEXT = {"task_result", "task_logs", "task_input", "target"}


def _reserve(tests: HttpFaultContract, qpu: QuantumResource, _task_id: str) -> object:
    with qpu._channel.calling():
        tests.token = qpu._channel.needed(Acquires, "acquire").acquire(detached=False, slots=None)
    return tests.token


def _discover(_tests: HttpFaultContract, qpu: QuantumResource, _task_id: str) -> object:
    with qpu._channel.calling() as driver:
        kind: Any = type(driver)
        return list(kind.discover(driver.settings, {}))


class HttpFaultContract(ContractHooks):
    """The behaviour of a REST driver when requests fail, as tests.

    Subclass it beside `DriverContract`, with the same hooks; `resource`, `payload` and `vendor` are
    required, and `task_ids` where the resource has no `task_list`. The driver's settings are an
    `HttpSettings`. Each operation meets each fault in each of its requests, once and always. It
    ends in its result or in one typed error, in time, without a secret in errors and logs; a task
    is submitted exactly once, or the submission is uncertain.

    Attributes:
        operations: The operations by name; those that the resource does not support are skipped.
        faults: The faults by name.
        survived: The names of the faults that must not end an operation when they are met once.
        may_fail: The operations that one such fault may end.
        harmless: Pairs of an operation and a fault that may stay unnoticed.
    """

    operations: ClassVar[dict[str, Operation]] = {
        "status": lambda _tests, qpu, _id: qpu.status(),
        "target": lambda _tests, qpu, _id: qpu.target(),
        "describe": lambda _tests, qpu, _id: qpu.describe(),
        "discover": _discover,
        "acquire": _reserve,
        "release": lambda tests, qpu, _id: qpu.release(tests.token),
        "acquisition_usage": lambda tests, qpu, _id: qpu.acquisition_usage(tests.token),
        "task_start": lambda tests, qpu, _id: qpu.task_start(tests.payload(), timeout=2),
        "task_status": lambda _tests, qpu, id: qpu.task_status(id),
        "task_status renewed": lambda tests, qpu, id: tests.renewed(qpu.task_status, id),
        "task_result": lambda _tests, qpu, id: qpu.task_result(id, timeout=2),
        "task_stop": lambda _tests, qpu, id: qpu.task_stop(id),
        "task_logs": lambda _tests, qpu, id: qpu.task_logs(id),
        "task_usage": lambda _tests, qpu, id: qpu.task_usage(id),
        "task_input": lambda _tests, qpu, id: qpu.task_input(id),
        "task_list": lambda _tests, qpu, _id: qpu.task_list(),
    }
    faults: ClassVar[dict[str, Fault]] = {**_PASSING, **_REFUSALS, **_CONTENTS}
    survived: ClassVar[frozenset[str]] = frozenset(_PASSING)
    may_fail: ClassVar[frozenset[str]] = frozenset({"acquire"})
    harmless: ClassVar[frozenset[tuple[str, str]]] = frozenset()
    token = ""
    _task_id = ""
    _requests: ClassVar[dict[str, list[str]]]

    def expire_credentials(self) -> bool:
        """Revoke all tokens issued so far; return False if that is not possible."""
        return False

    def meets(self, kind: str, fault: str) -> bool:  # noqa: ARG002
        """Return True if requests of a kind can meet a fault, as all do by default."""
        return True

    def renewed(self, call: Callable[[str], object], task_id: str) -> object:
        """Make a call after the credentials have expired."""
        if not self.expire_credentials():
            pytest.skip("the vendor's credentials do not expire (`expire_credentials`)")
        return call(task_id)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give the tests the operations of the class."""
        if "operation" in metafunc.fixturenames:
            metafunc.parametrize("operation", list(self.operations))

    def test_every_operation_with_every_fault(
        self, operation: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        self._meet_each(operation, self.faults.keys() - _SILENT, {}, caplog)

    @pytest.mark.slow
    def test_every_operation_with_a_vendor_that_falls_silent(
        self, operation: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        self._meet_each(operation, self.faults.keys() & _SILENT, _SHORT, caplog)

    @pytest.mark.slow
    def test_values_of_other_types_are_no_defect(
        self, operation: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        for number, _kind in enumerate(self._requests_of(operation)):
            for changed in self._changed_documents(operation, number):
                fault = Faults.response(200, changed)
                self._meet(operation, caplog, "", [fault], number, {}, honest=False)

    @pytest.mark.slow
    def test_a_response_that_echoes_credentials_shows_none(
        self, operation: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        seen: list[str] = []
        keys = " ".join(secrets_of(self.resource()._driver))

        def echo(status: int, request: VendorRequest, _respond: Respond) -> VendorResponse:
            seen.append(request.headers.get("Authorization", "").rpartition(" ")[2])
            sent = f"{dict(request.headers.items())} {request.query_string} {keys}"
            if len(seen) % 2:
                return VendorResponse(status, f"<html>{sent}</html>".encode(), _HTML)
            error = {"code": sent, "message": sent, "detail": sent}
            return VendorResponse(status, {**error, "error": error, "errors": [error]})

        self._requests_of(operation)
        for status in (200, 400, 401, 403, 404, 409, 429, 500, 503) * 2:
            echoes = [partial(echo, status)] * 1000
            _, failure = self._meet(operation, caplog, "", echoes, 0, {"attempts": 1})
            text = f"{caplog.text} {shown_by(failure)}"
            assert not [token for token in seen if token and token in text]

    def test_a_pause_that_the_vendor_asks_for_is_made(self) -> None:
        qpu = self._resource({})
        qpu.status()
        self._vendor().fail("", Faults.response(429, Retry_After="1"))
        begun = time.monotonic()
        qpu.status()
        assert time.monotonic() - begun >= 1

    def test_a_refused_credential_is_renewed_once(self) -> None:
        driver, vendor = self._resource({})._driver, self._vendor()
        task_id = self._ended_task()
        driver.task_status(task_id)
        self.renewed(driver.task_status, task_id)
        kind = next(iter(vendor.kinds(vendor.received[-1])))
        vendor.fail(kind, *[Faults.response(401)] * 10)
        before = len(vendor.requests)
        with pytest.raises(AuthenticationFailedError):
            driver.task_status(task_id)
        assert len(vendor.requests) - before <= 3, "refused, a new token, refused again"

    # One operation

    def _meet_each(
        self,
        operation: str,
        faults: Collection[str],
        settings: Mapping[str, Any],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Let an operation meet each of the faults in each of its requests, once and always."""
        caplog.set_level(logging.DEBUG)
        for fault, (number, kind) in product(
            sorted(faults), enumerate(self._requests_of(operation))
        ):
            if not self.meets(kind, fault):
                continue
            ways = [(kind, 1000, 0)]
            if fault in self.survived:
                ways.append(("", 1, number))
            if operation.startswith("task_start"):
                ways.append(("", 1000, number))
            for where, times, after in ways:
                once = times == 1
                met = [self.faults[fault]] * times
                how = {**settings, "attempts": 4} if once else settings
                _, failure = self._meet(operation, caplog, where, met, after, how)
                place = f"{operation}: {fault} {'once' if once else 'always'} at {kind}"
                if once:
                    assert self._may_end(operation, fault, failure), f"{place}: {failure!r}"
                else:
                    assert failure or self._may_pass(operation, fault), place

    def _meet(
        self,
        operation: str,
        caplog: pytest.LogCaptureFixture,
        kind: str,
        faults: Collection[Fault],
        after: int,
        settings: Mapping[str, Any],
        *,
        honest: bool = True,
    ) -> tuple[object, QrmiError | None]:
        """Let an operation meet faults; return its result or its error, which are checked.

        The id of a task is not checked where responses are not `honest`.
        """
        caplog.clear()
        qpu, task_id = self._prepared(operation, settings)
        vendor, before = self._vendor(), {*(self.task_ids() or ())}
        vendor.forget_requests()
        vendor.fail(kind, *faults, after=after)
        begun = time.monotonic()
        outcome: object = None
        failure: QrmiError | None = None
        try:
            outcome = self.operations[operation](self, qpu, task_id)
        except QrmiError as error:
            failure = error
        assert time.monotonic() - begun < _CALL_SECONDS
        assert not any("elsewhere" in entry for entry in vendor.requests), "a redirect was followed"
        vendor.faults.clear()
        assert not isinstance(failure, DriverDefectError), failure
        assert failure is None or failure.resource_id == qpu.resource_id()
        if honest:
            self._submitted_once(operation, outcome, failure, before)
        text = f"{caplog.text} {shown_by(failure)}"
        assert not [each for each in secrets_of(qpu._driver, self.secrets) if each in text]
        self._clean_up(qpu)
        return outcome, failure

    def _submitted_once(
        self, operation: str, outcome: object, failure: QrmiError | None, before: set[str]
    ) -> None:
        created = {*(self.task_ids() or ())} - before
        if operation.startswith("task_start"):
            if failure is None:
                assert created == {outcome}
            elif isinstance(failure, SubmissionUncertainError):
                assert len(created) <= 1
            else:
                assert not created, "a task was lost"
        else:
            assert not created

    def _may_end(self, operation: str, fault: str, failure: QrmiError | None) -> bool:
        """Return True if an operation may end so after one fault."""
        if failure is None or operation in self.may_fail:
            return True
        if isinstance(failure, AuthenticationFailedError) and operation == "task_status renewed":
            return True  # a credential is renewed once
        # A gateway that gave up waiting says that the vendor may still create the task.
        late = fault in ("408", "504", "silent after", "stalled")
        uncertain = isinstance(failure, SubmissionUncertainError)
        return (
            operation.startswith("task_start")
            and uncertain
            and (late or not self.finds_submissions())
        )

    def _may_pass(self, operation: str, fault: str) -> bool:
        """Return True if a fault that stays need not end an operation."""
        carried_out = fault in ("lost after", "502 after", "truncated", "silent after", "stalled")
        name = operation.partition(" ")[0]
        return (
            (operation, fault) in self.harmless
            or fault == "an object"  # in which every value is unknown
            or (name == "task_start" and (carried_out or fault in _CONTENTS or fault == "409"))
            # It was stopped or released before, or has ended; and no response body matters.
            or (name in _WITH_EFFECT and (carried_out or fault in _CONTENTS or fault[:1] == "4"))
            # Texts may have any form.
            or (name in _OF_TEXT and fault in _CONTENTS)
            # The last bytes of a text may be missing, or nothing of a body without any.
            or (name in _OF_TEXT and fault == "truncated")
        )

    # What operations need

    def _vendor(self) -> LoopbackVendor:
        vendor = self.vendor()
        assert vendor is not None, "an HttpFaultContract needs a `vendor`"
        return vendor

    def _resource(self, settings: Mapping[str, Any]) -> QuantumResource:
        """Make a resource that pauses for next to no time, with other settings."""
        qpu = self.resource()
        driver = qpu._driver
        changed = attrs.evolve(driver.settings, **{**_FAST, **settings})
        qpu._driver = type(driver)(driver.resource_id, driver.resource_type, changed)
        qpu._channel.driver = qpu._driver
        qpu._channel.sleep = lambda seconds: time.sleep(min(seconds, 0.005))
        qpu._channel.polling = PollingPolicy(min_pause_seconds=0.005, max_outage_seconds=0.2)
        return qpu

    def _ended_task(self) -> str:
        qpu = self._resource({})
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        task.wait(self.timeout_seconds)
        return task.id

    def _prepared(self, operation: str, settings: Mapping[str, Any]) -> tuple[QuantumResource, str]:
        """Return a resource, and the id of a task that has ended."""
        name = operation.partition(" ")[0]
        if not self._task_id or name == "task_stop":
            self._task_id = self._ended_task()  # which fetches a token, too
        if name in ("release", "acquisition_usage"):
            _reserve(self, self._resource({}), "")
        return self._resource(settings), self._task_id

    def _clean_up(self, qpu: QuantumResource) -> None:
        if self.token:
            with suppress(QrmiError):  # it may be a token of the fault's
                self._resource({}).release(self.token)
            self.token = ""
        qpu.close()

    def _requests_of(self, operation: str) -> list[str]:
        """Return the kinds of the requests of an operation; skip the test if it makes none."""
        qpu = self.resource()
        function = operation.partition(" ")[0]
        supported = qpu._driver.supports(Discovers) if function == "discover" else True
        if hasattr(QuantumResource, function):
            supported = qpu.supports(function)
        if not supported:
            pytest.skip(f"the resource does not support {function}")
        known: dict[str, list[str]] = vars(type(self)).get("_requests", {})
        if operation not in known:
            qpu, task_id = self._prepared(operation, {})
            vendor = self._vendor()
            before = len(vendor.received)
            self.operations[operation](self, qpu, task_id)
            made = vendor.received[before:]
            known[operation] = [next(iter(vendor.kinds(request))) for request in made]
            type(self)._requests = known
            self._clean_up(qpu)
        if not known[operation]:
            pytest.skip(f"{operation} makes no request")
        return known[operation]

    def _changed_documents(self, operation: str, number: int) -> list[Any]:
        """Return the document in a response, with each of its values as one of another type."""
        documents: list[Any] = []

        def keep(_request: VendorRequest, respond: Respond) -> VendorResponse | None:
            response = respond()
            if response is not None:
                documents.append(response.body)
            return response

        qpu, task_id = self._prepared(operation, {})
        self._vendor().fail("", keep, after=number)
        self.operations[operation](self, qpu, task_id)
        self._clean_up(qpu)
        document = documents[0] if documents else b""
        if isinstance(document, bytes):
            try:
                document = json.loads(document)
            except ValueError:
                return []
        return [changed for value in _OTHER_TYPES for changed in _with(document, value)]


def _with(document: Any, value: object) -> Iterator[Any]:
    """Yield copies of a document with one of its values replaced."""
    yield value
    match document:
        case dict():
            for key in document:
                for changed in _with(document[key], value):
                    yield {**document, key: changed}
        case [first, *others]:
            for changed in _with(first, value):
                yield [changed, *others]
