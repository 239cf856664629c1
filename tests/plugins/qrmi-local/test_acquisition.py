"""Acquisitions: what they keep others from, and when they end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qrmi_core import QuantumResource, TaskStatus
from qrmi_core.errors import NotAcquiredError, ResourceBusyError

pytestmark = pytest.mark.slow

ACQUIRE = """
import os, sys
from qrmi_core import QuantumResource
config = {"QRMI_LOCAL_HOME": sys.argv[1], "QRMI_LOCAL_LEASE_SECONDS": sys.argv[3]}
aer = QuantumResource("aer", "local", config)
print(aer.acquire(0, detached=sys.argv[2] == "detached"), flush=True)
if sys.argv[2] == "forking" and os.fork() == 0:
    os.close(1)
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""


def acquire_elsewhere(home: Path, how: str, lease: str = "60") -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", ACQUIRE, str(home), how, lease],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        assert stream
        stream.close()
    process.wait(30)


def is_free(resource: QuantumResource) -> bool:
    try:
        token = resource.acquire(0)
    except ResourceBusyError:
        return False
    resource.release(token)
    return True


def test_an_exclusive_acquisition_keeps_others_out(make_resource) -> None:
    aer = make_resource()
    assert aer.supports("acquire")
    token = aer.acquire()
    assert not is_free(make_resource())
    assert is_free(make_resource("fake_lagos")), "another resource is not held"
    status = make_resource().status()
    assert status.busy
    assert "exclusive" in (status.status_reason or "")
    aer.release(token)
    assert is_free(make_resource())


def test_shared_acquisitions_are_as_many_as_there_are_slots(make_resource) -> None:
    shared = {"QRMI_LOCAL_ACQUISITION": "shared", "QRMI_LOCAL_SLOTS": "2"}
    aer, other, third = (make_resource(**shared) for _ in range(3))
    token = aer.acquire(0)
    other.acquire(0)
    with pytest.raises(ResourceBusyError, match="2 others"):
        third.acquire(0)
    aer.release(token)
    assert is_free(third)
    assert not is_free(make_resource()), "one who wants it alone waits for all"


def test_tasks_of_others_wait_while_the_holders_run(make_resource, bell) -> None:
    holder, other = make_resource(), make_resource()
    token = holder.acquire()
    waiting = other.run(bell)
    assert holder.run(bell).wait(60) is TaskStatus.Completed
    assert waiting.status() is TaskStatus.Queued
    holder.release(token)
    assert waiting.wait(60) is TaskStatus.Completed


def test_the_holders_tasks_wait_for_those_that_ran_before(
    make_resource, slow, bell, bad, until
) -> None:
    holder, other = make_resource(QRMI_LOCAL_SLOTS="2"), make_resource(QRMI_LOCAL_SLOTS="2")
    earlier = other.run(slow)
    until(lambda: earlier.status() is TaskStatus.Running)
    holder.acquire(0)
    mine = holder.run(bell)
    # A later task on another resource shows that a worker was free and passed mine over.
    assert make_resource("fake_lagos").run(bad).wait(60) is TaskStatus.Failed
    assert mine.status() is TaskStatus.Queued
    earlier.stop()
    assert mine.wait(60) is TaskStatus.Completed


def test_an_interrupt_stops_the_tasks_and_an_error_does_not(make_resource, slow) -> None:
    aer = make_resource(QRMI_LOCAL_SLOTS="1")
    with pytest.raises(ZeroDivisionError), aer:
        tasks = [aer.run(slow) for _ in range(2)]
        raise ZeroDivisionError
    assert TaskStatus.Cancelled not in {task.status() for task in tasks}
    for task in tasks:
        task.stop()
    with pytest.raises(KeyboardInterrupt), aer:
        tasks = [aer.run(slow) for _ in range(2)]
        raise KeyboardInterrupt
    assert [task.status() for task in tasks] == [TaskStatus.Cancelled] * 2


@pytest.mark.parametrize("how", ["attached", "forking"])
def test_an_acquisition_ends_with_its_process(make_resource, home, until, how: str) -> None:
    process, token = acquire_elsewhere(home, how)
    aer = make_resource()
    assert token
    assert not is_free(aer)
    process.kill()
    process.wait(30)
    until(lambda: is_free(aer), 5)
    close(process)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_an_acquisition_does_not_end_with_a_forked_child(make_resource) -> None:
    aer = make_resource()
    aer.acquire()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert not is_free(make_resource())


def test_a_detached_acquisition_outlives_its_process_and_is_released_by_its_token(
    make_resource, home
) -> None:
    process, token = acquire_elsewhere(home, "detached")
    close(process)
    aer = make_resource()
    assert not is_free(aer)
    aer.release(token)
    aer.release(token)
    assert is_free(aer)


def test_a_detached_acquisition_ends_when_its_time_is_over(
    make_resource, home, until, bell
) -> None:
    process, token = acquire_elsewhere(home, "detached", lease="1.5")
    close(process)
    assert token
    aer = make_resource()
    waiting = aer.run(bell)
    assert waiting.wait(60) is TaskStatus.Completed
    assert is_free(aer)
    usage = waiting.usage()
    assert usage.started_at
    assert usage.created_at
    assert (usage.started_at - usage.created_at).total_seconds() > 0.3


def test_a_busy_resource_is_waited_for(make_resource, home) -> None:
    process, token = acquire_elsewhere(home, "detached", lease="1")
    close(process)
    assert token
    assert make_resource().acquire(10)


def test_a_token_given_by_a_scheduler_lets_its_tasks_run(make_resource, home, bell) -> None:
    process, token = acquire_elsewhere(home, "detached")
    close(process)
    inside = make_resource(QRMI_JOB_ACQUISITION_TOKEN=token)
    with inside as aer:
        assert aer.run(bell).wait(60) is TaskStatus.Completed
    assert not is_free(make_resource()), "it is the scheduler's to release"


def test_an_unknown_token_releases_nothing(make_resource, home, tmp_path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    make_resource().release("../../victim")
    assert victim.exists()


def test_a_release_through_another_resource_frees_and_cancels_nothing(make_resource, slow) -> None:
    aer = make_resource(QRMI_LOCAL_SLOTS="1")
    token = aer.acquire(0)
    aer.run(slow)
    waiting = aer.run(slow)
    make_resource("fake_lagos").release(token, cancel_pending=True)
    assert not is_free(make_resource())
    assert waiting.status() is TaskStatus.Queued
    aer.release(token, cancel_pending=True)
    assert is_free(make_resource())
    assert waiting.status() is TaskStatus.Cancelled


def test_a_resource_is_the_same_in_any_case_of_its_name(make_resource) -> None:
    lower, upper = make_resource("emu_free"), make_resource("EMU_FREE")
    token = lower.acquire(0)
    assert not is_free(upper)
    upper.release(token)
    assert is_free(lower)


def test_a_task_under_an_acquisition_that_is_none_is_refused(make_resource, home, bell) -> None:
    aer = make_resource()
    for token in ("unknown", make_resource("fake_lagos").acquire(0)):
        with pytest.raises(NotAcquiredError, match="acquire the resource again"):
            make_resource(QRMI_JOB_ACQUISITION_TOKEN=token).run(bell)
    token = aer.acquire(0)
    make_resource().release(token)
    with pytest.raises(NotAcquiredError):
        aer.run(bell)
    assert aer.task_list() == []
    assert list((home / "tasks").iterdir()) == []


def test_a_holder_that_waits_for_a_slot_is_told(make_resource, slow, until) -> None:
    other = make_resource("fake_lagos", QRMI_LOCAL_SLOTS="1")
    driver = other._driver
    driver._store.submit("00000000-0000-0000-0000-00000000000b", "fake_lagos", "sampler", b"{}")
    lock = driver._store.take_slot(0)
    assert driver._store.claim(0, 2**22 + 1, ["fake_lagos"])
    aer = make_resource(QRMI_LOCAL_SLOTS="1")
    aer.acquire(0)
    reason = aer.status().status_reason or ""
    assert "exclusive" in reason
    assert "all slots" in reason
    assert lock is not None
    os.close(lock)


def test_the_usage_of_an_acquisition_is_that_of_its_own_tasks(make_resource, bell) -> None:
    aer, other = make_resource(), make_resource("fake_manila")
    token, others = aer.acquire(), other.acquire()
    first, second = aer.run(bell), aer.run(bell)
    other.run(bell).wait(60)
    seconds = 0.0
    for task in (first, second):
        task.wait(60)
        seconds += task.usage().quantum_seconds or 0.0
    aer.release(token)
    outside = aer.run(bell)
    outside.wait(60)
    used = aer.acquisition_usage(token)
    assert used.tasks == 2
    assert used.quantum_seconds == pytest.approx(seconds)
    assert other.acquisition_usage(others).tasks == 1
    assert aer.acquisition_usage(others).tasks == 0
