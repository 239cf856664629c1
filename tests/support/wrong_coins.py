"""Faulty drivers of the example's vendor, each with the contract test that detects it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import attrs

from qrmi_core.plugin import (
    HttpClient,
    InvalidInputError,
    Observation,
    QrmiError,
    ResourceDescription,
    ResourceInfo,
    ResourceStatus,
    TaskEstimate,
    TaskInfo,
    TaskNotFoundError,
    TaskOptions,
    TaskStatus,
    TaskUsage,
)
from qrmi_example import Coin
from qrmi_example.api import CoinApi, observation
from qrmi_example.driver import CoinDriver

WRONG: dict[str, type[CoinDriver]] = {}
"""The faulty drivers, by class name."""
CAUGHT_BY: dict[str, str] = {}
"""The test that detects each."""


def caught_by(test: str) -> Any:
    """Register a faulty driver under the name of the test that detects it."""

    def register(wrong: type[CoinDriver]) -> type[CoinDriver]:
        WRONG[wrong.__name__], CAUGHT_BY[wrong.__name__] = wrong, test
        return wrong

    return register


# The resource


@caught_by("test_construction_contacts_nobody")
class AsksAtConstruction(CoinDriver):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._api.coins()


@caught_by("test_every_status_asks_the_vendor")
class AsksForItsStatusOnce(CoinDriver):
    _seen: ResourceStatus | None = None

    def status(self) -> ResourceStatus:
        self._seen = self._seen or super().status()
        return self._seen


@caught_by("test_the_status_has_the_fields_of_the_contract")
class CountsInText(CoinDriver):
    def status(self) -> ResourceStatus:
        return attrs.evolve(super().status(), pending_job_count="3")


@caught_by("test_metadata_are_strings_and_cost_nothing")
class CountsInMetadata(CoinDriver):
    def metadata(self) -> Mapping[str, Any]:
        return {"coins": 20}


@caught_by("test_the_target_is_text")
class ParsesTheTarget(CoinDriver):
    def target(self) -> Any:
        return json.loads(super().target())


@caught_by("test_what_is_discovered_has_the_fields_of_the_contract")
class DiscoversNames(CoinDriver):
    @classmethod
    def discover(cls, settings: Any, filters: Mapping[str, str]) -> Iterable[Any]:
        return [info.resource_id for info in super().discover(settings, filters)]


@caught_by("test_what_is_discovered_has_the_fields_of_the_contract")
class DiscoversTwice(CoinDriver):
    @classmethod
    def discover(cls, settings: Any, filters: Mapping[str, str]) -> Iterable[ResourceInfo]:
        return [*super().discover(settings, filters)] * 2


@caught_by("test_the_class_fulfils_the_contract")
class ListsItsPayloads(CoinDriver):
    payloads = [Coin]  # type: ignore[assignment]  # noqa: RUF012


# Reservations


@caught_by("test_an_acquisition_is_a_token_and_release_is_idempotent")
class ReleasesOnce(CoinDriver):
    _released: tuple[str, ...] = ()

    def release(self, token: str, *, cancel_pending: bool) -> None:
        if token in self._released:
            raise InvalidInputError("the reservation has ended")
        self._released += (token,)
        super().release(token, cancel_pending=cancel_pending)


@caught_by("test_what_was_released_can_be_acquired_again")
class ReleasesNothing(CoinDriver):
    def release(self, token: str, *, cancel_pending: bool) -> None:
        pass


@caught_by("test_the_usage_of_an_acquisition_is_reported_also_after_its_end")
class ForgetsTheReservation(CoinDriver):
    def task_start(self, payload: Coin, *, acquisition: str | None, **how: Any) -> str:
        return super().task_start(payload, acquisition=None, **how)


# Submissions


@caught_by("test_every_field_of_a_payload_reaches_the_vendor")
class DropsTheShots(CoinDriver):
    def task_start(self, payload: Coin, **how: Any) -> str:
        return super().task_start(attrs.evolve(payload, shots=1), **how)


@caught_by("test_options_are_honoured_or_refused")
class DropsTheName(CoinDriver):
    def task_start(self, payload: Coin, *, options: Any, **how: Any) -> str:
        return super().task_start(payload, options=attrs.evolve(options, name=None), **how)


@caught_by("test_a_submission_is_found_again_by_its_tag")
class TagsAllTheSame(CoinDriver):
    def task_start(self, payload: Coin, *, submission: str, **how: Any) -> str:
        return super().task_start(payload, submission="qrmi", **how)

    def find_submission(self, submission: str) -> str | None:
        return super().find_submission("qrmi")


@caught_by("test_a_submission_is_found_again_by_its_tag")
class FindsOnlyItsOwn(CoinDriver):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._found: dict[str, str] = {}

    def task_start(self, payload: Coin, *, submission: str, **how: Any) -> str:
        self._found[submission] = super().task_start(payload, submission=submission, **how)
        return self._found[submission]

    def find_submission(self, submission: str) -> str | None:
        return self._found.get(submission)


@caught_by("test_a_submission_without_a_response_is_one_task")
class SubmitsTwice(CoinDriver):
    def task_start(self, payload: Coin, **how: Any) -> str:
        try:
            return super().task_start(payload, **how)
        except QrmiError:
            return super().task_start(payload, **how)


@caught_by("test_a_submission_without_a_response_is_one_task")
class IsNeverUncertain(CoinDriver):
    def task_start(self, payload: Coin, **how: Any) -> str:
        try:
            return super().task_start(payload, **how)
        except QrmiError as error:
            error.uncertain = False
            raise


# Tasks


@caught_by("test_every_report_has_the_fields_of_the_contract")
class ReportsOddPlaces(CoinDriver):
    def task_status(self, task_id: str) -> Observation:
        return attrs.evolve(super().task_status(task_id), queue_position="3")


@caught_by("test_every_poll_of_a_task_asks_the_vendor")
class RemembersReports(CoinDriver):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._reports: dict[str, Observation] = {}

    def task_status(self, task_id: str) -> Observation:
        if task_id not in self._reports:
            self._reports[task_id] = super().task_status(task_id)
        return self._reports[task_id]


@caught_by("test_a_stopped_task_is_cancelled")
class StopsNothing(CoinDriver):
    def task_stop(self, task_id: str) -> None:
        self._api.task(task_id)


@caught_by("test_an_unknown_task_is_an_error_that_names_it")
class StopsWhatIsUnknown(CoinDriver):
    def task_stop(self, task_id: str) -> None:
        with suppress(TaskNotFoundError):
            super().task_stop(task_id)


@caught_by("test_stopping_a_finished_task_is_no_error")
class StopsOnlyWhatRuns(CoinDriver):
    def task_stop(self, task_id: str) -> None:
        if self.task_status(task_id).status is TaskStatus.Completed:
            raise InvalidInputError("the task has ended")
        super().task_stop(task_id)


@caught_by("test_a_result_is_pieces_of_bytes")
class YieldsText(CoinDriver):
    def task_result(self, task_id: str) -> Iterator[Any]:
        return (piece.decode() for piece in super().task_result(task_id))


@caught_by("test_a_task_that_runs_has_no_result_yet")
class HasAnEmptyResult(CoinDriver):
    def task_result(self, task_id: str) -> Iterator[bytes]:
        running = self.task_status(task_id).status in (TaskStatus.Queued, TaskStatus.Running)
        return iter(()) if running else super().task_result(task_id)


@caught_by("test_a_task_is_known_to_another_object_by_its_id")
class KnowsOnlyItsOwn(CoinDriver):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._own: list[str] = []

    def task_start(self, payload: Coin, **how: Any) -> str:
        self._own.append(super().task_start(payload, **how))
        return self._own[-1]

    def task_status(self, task_id: str) -> Observation:
        if task_id not in self._own:
            raise TaskNotFoundError("not submitted here")
        return super().task_status(task_id)


@caught_by("test_logs_are_text")
class LogsBytes(CoinDriver):
    def task_logs(self, task_id: str) -> Any:
        return super().task_logs(task_id).encode()


@caught_by("test_usage_has_the_fields_of_the_contract")
class UsesLocalTime(CoinDriver):
    def task_usage(self, task_id: str) -> TaskUsage:
        usage = super().task_usage(task_id)
        assert usage.created_at
        return attrs.evolve(usage, created_at=usage.created_at.replace(tzinfo=None))


@caught_by("test_the_list_has_the_newest_task_first")
class ListsTheOldestFirst(CoinDriver):
    def task_list(self) -> Iterable[TaskInfo]:
        return [*super().task_list()][::-1]


# Conventions


class _RawIds(CoinDriver):
    """A driver that puts ids into paths without quoting."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._http: HttpClient = self._api._http

    def _task(self, method: str, task_id: str) -> dict[str, Any]:
        path = f"/v1/tasks/{task_id}"
        return self._http.request(method, path, not_found=TaskNotFoundError).object()


@caught_by("test_an_id_that_looks_like_an_address_is_an_unknown_task")
class ReadsRawIds(_RawIds):
    def task_status(self, task_id: str) -> Observation:
        return Observation(TaskStatus.Running, raw=str(self._task("GET", task_id).get("state")))


@caught_by("test_an_id_that_looks_like_an_address_is_an_unknown_task")
class StopsRawIds(_RawIds):
    def task_stop(self, task_id: str) -> None:
        self._task("DELETE", task_id)


@caught_by("test_a_token_that_looks_like_an_address_releases_nothing")
class ReleasesRawTokens(CoinDriver):
    def release(self, token: str, *, cancel_pending: bool) -> None:
        path = f"/v1/reservations/{token}"
        self._api._http.request("DELETE", path, params={"cancel": "false"}, ok=(404,))


@caught_by("test_no_secret_is_shown")
class HasItsKeyInMetadata(CoinDriver):
    def metadata(self) -> Mapping[str, str]:
        return {"token": self.settings.token}


@caught_by("test_a_closed_resource_can_be_used_again")
class IsClosedForEver(CoinDriver):
    def close(self) -> None:
        super().close()
        del self._api


@caught_by("test_threads_get_the_tasks_that_they_submitted")
class MixesThreadsUp(CoinDriver):
    _last = ""

    def task_start(self, payload: Coin, **how: Any) -> str:
        self._last = super().task_start(payload, **how)
        time.sleep(0.05)
        return self._last


@caught_by("test_a_forked_process_can_use_the_resource")
class HoldsALock(CoinDriver):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._one_at_a_time = threading.Lock()

    def task_start(self, payload: Coin, **how: Any) -> str:
        with self._one_at_a_time:
            return super().task_start(payload, **how)


# One task, one object, one process


@caught_by("test_polls_together_report_what_single_polls_report")
class MixesReportsUp(CoinDriver):
    def task_statuses(self, task_ids: Sequence[str]) -> Mapping[str, Observation]:
        tasks = reversed(self._api.tasks(coin=self.resource_id))
        return dict(zip(task_ids, map(observation, tasks), strict=False))


@caught_by("test_each_task_keeps_its_own_result")
class ReadsTheNewestResult(CoinDriver):
    def task_result(self, task_id: str) -> Iterator[bytes]:
        self._api.task(task_id)
        return super().task_result(self._api.tasks(coin=self.resource_id)[0]["id"])


@caught_by("test_each_task_keeps_its_own_result")
class ReadsTheNewestLog(CoinDriver):
    def task_logs(self, task_id: str) -> str:
        self._api.task(task_id)
        return super().task_logs(self._api.tasks(coin=self.resource_id)[0]["id"])


@caught_by("test_stopping_a_task_leaves_others_alone")
class StopsEveryTask(CoinDriver):
    def task_stop(self, task_id: str) -> None:
        super().task_stop(task_id)
        for task in self._api.tasks(coin=self.resource_id):
            super().task_stop(task["id"])


@caught_by("test_the_list_has_the_newest_task_first")
class ListsAPageTwice(CoinDriver):
    def task_list(self) -> Iterable[TaskInfo]:
        return [info for info in super().task_list() for _ in range(2)]


@caught_by("test_every_field_of_a_payload_reaches_the_vendor")
class ChangesThePayload(CoinDriver):
    def task_start(self, payload: Coin, **how: Any) -> str:
        task_id = super().task_start(payload, **how)
        object.__setattr__(payload, "shots", 1)
        return task_id


@caught_by("test_options_are_honoured_or_refused")
class DropsTheTimeLimit(CoinDriver):
    task_options = frozenset({"name", "max_seconds"})


@caught_by("test_an_estimate_has_the_fields_of_the_contract")
class EstimatesByRunning(CoinDriver):
    def estimate(self, payload: Coin) -> TaskEstimate:
        how: dict[str, Any] = {"acquisition": None, "options": TaskOptions()}
        task_id = self.task_start(payload, submission="", **how)
        return TaskEstimate(self.task_usage(task_id).quantum_seconds)


@caught_by("test_an_acquisition_lasts_until_it_is_released")
class ReleasesOnClose(CoinDriver):
    _token = ""

    def acquire(self, *, detached: bool, slots: int | None) -> str:
        self._token = super().acquire(detached=detached, slots=slots)
        return self._token

    def close(self) -> None:
        if self._token:
            self._api.unreserve(self._token, cancel=False)
        super().close()


@caught_by("test_an_acquisition_lasts_until_it_is_released")
class ReleasesWhateverIsHeld(CoinDriver):
    def release(self, token: str, *, cancel_pending: bool) -> None:
        for number in range(1, 9):
            super().release(f"hand-{number}", cancel_pending=cancel_pending)


@caught_by("test_no_secret_is_shown")
class DescribesItsKey(CoinDriver):
    def describe(self) -> ResourceDescription:
        return ResourceDescription(details={"key": self.settings.token})


@caught_by("test_the_process_is_left_as_it_is")
class PollsInAThread(CoinDriver):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        threading.Thread(target=self._refresh, daemon=True).start()

    def _refresh(self) -> None:
        time.sleep(20)


@caught_by("test_the_process_is_left_as_it_is")
class WritesTheEnvironment(CoinDriver):
    def task_start(self, payload: Coin, **how: Any) -> str:
        os.environ["COIN_LAST_TASK"] = task_id = super().task_start(payload, **how)
        return task_id


@caught_by("test_wrong_credentials_are_an_error_that_does_not_show_them")
class SharesItsConnection(CoinDriver):
    _shared: list[CoinApi] = []  # noqa: RUF012

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._shared.append(self._api)
        self._api = self._shared[0]


@caught_by("test_an_interrupt_ends_a_call")
class SwallowsInterrupts(CoinDriver):
    def status(self) -> ResourceStatus:
        try:
            return super().status()
        except BaseException:
            return super().status()
