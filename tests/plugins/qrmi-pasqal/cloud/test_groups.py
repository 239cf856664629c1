"""Many tasks are polled by the lists of batches and of jobs."""

from __future__ import annotations

import pytest

from qrmi_core import Payload, QuantumResource, TaskStatus, poll
from qrmi_core.testing import Fault, Faults
from support.faulty_server import replaced
from support.pasqal_service import PasqalService
from support.resources import Make


def started(qpu: QuantumResource, number: int, name: str = "short") -> list[str]:
    payload = Payload.PasqalCloud({"version": "1", "name": name}, 100)
    return [qpu.task_start(payload) for _ in range(number)]


def statuses(qpu: QuantumResource, ids: list[str]) -> dict[str, TaskStatus | None]:
    return {id: report.status for id, report in qpu._driver.task_statuses(ids).items()}


def test_tasks_of_every_kind_are_polled_together(service: PasqalService, make: Make) -> None:
    qpu = make()
    alone = started(qpu, 2)
    batch_id = qpu.batch_open()
    payload = Payload.PasqalCloud({"version": "1", "name": "short"}, 100)
    shared = qpu.batch_add(batch_id, [payload] * 2)
    service.batches[alone[0]]["status"] = "DONE"
    service.forget_requests()
    assert statuses(qpu, [shared[1], *alone, shared[0]]) == {
        alone[0]: TaskStatus.Completed,
        alone[1]: TaskStatus.Queued,
        shared[0]: TaskStatus.Queued,
        shared[1]: TaskStatus.Queued,
    }
    assert service.counted() == {"GET v1/batches": 1, "GET v2/jobs": 1}


def test_only_ids_that_the_service_may_have_are_in_the_list(
    service: PasqalService, make: Make
) -> None:
    qpu = make()
    (task_id,) = started(qpu, 1)
    strange = ["..", "a&id=b", "x:y", f"{task_id}x", f"{task_id}:", f"{task_id}:1", task_id.upper()]
    assert statuses(qpu, [task_id, *strange]) == {task_id: TaskStatus.Queued}


def test_a_small_page_is_followed_by_the_next(service: PasqalService, make: Make) -> None:
    service.page = 2
    qpu = make()
    ids = started(qpu, 5)
    service.forget_requests()
    assert statuses(qpu, ids).keys() == {*ids}
    assert service.counted().total() == 3


def test_a_list_that_is_not_filtered_is_not_read_to_its_end(
    service: PasqalService, make: Make
) -> None:
    qpu = make()
    ids = started(qpu, 3)
    others = [{"id": f"another-{number}", "status": "DONE"} for number in range(3)]
    endless = replaced({"data": others, "pagination": {"total": 10**6, "start": 0, "end": 3}})
    service.fail("GET v1/batches", *[endless] * 9)
    service.forget_requests()
    assert statuses(qpu, ids) == {}
    assert service.counted() == {"GET v1/batches": 1}


def test_an_entry_without_a_status_is_no_report(service: PasqalService, make: Make) -> None:
    qpu = make()
    first, second, third = started(qpu, 3)
    entries = [{"id": first}, {"status": "DONE"}, {"id": second, "status": "PENDING"}]
    service.fail("GET v1/batches", replaced({"data": entries}))
    assert statuses(qpu, [first, second, third]) == {second: TaskStatus.Queued}


@pytest.mark.parametrize(
    "fault", [Faults.response(503), Faults.response(200, b"<html>"), Faults.response(401)]
)
def test_an_outage_is_not_met_by_a_request_for_each_task(
    service: PasqalService, make: Make, fault: Fault
) -> None:
    qpu = make(QRMI_HTTP_ATTEMPTS="1")
    tasks = [qpu.task(id) for id in started(qpu, 3)]
    service.fail("GET v1/batches", *[fault] * 9)
    service.forget_requests()
    assert all(poll(tasks).values())
    assert service.counted()["GET v2/batches/*"] == 0


@pytest.mark.parametrize("code", [400, 403, 404, 405, 414, 422])
def test_where_the_list_is_refused_each_task_is_polled_alone(
    service: PasqalService, make: Make, code: int
) -> None:
    qpu = make()
    tasks = [qpu.task(id) for id in started(qpu, 3)]
    service.finish_all()
    service.fail("GET v1/batches", *[Faults.response(code)] * 9)
    service.forget_requests()
    assert poll(tasks) == dict.fromkeys(tasks)
    assert all(task.done for task in tasks)
    assert service.counted() == {"GET v1/batches": 1, "GET v2/batches/*": 3}
