"""The core's way to one resource's driver."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

from qrmi_core._imports import broken_dependency
from qrmi_core.deadline import Clock, Deadline, Sleep, current
from qrmi_core.driver import Driver, offers, unsupported
from qrmi_core.errors import (
    PASSING,
    DriverDefectError,
    InvalidInputError,
    PluginError,
    QrmiError,
    UnsupportedPayloadError,
)
from qrmi_core.payload import Payload
from qrmi_core.redaction import Redactor
from qrmi_core.reports import WrongReturnError, checked
from qrmi_core.retry import OnWait, PollingPolicy, RetryPolicy, repeat
from qrmi_core.settings import Settings

_CapabilityT = TypeVar("_CapabilityT")
_T = TypeVar("_T")

_FEW_PAUSES_SECONDS = 4.0  # all of them together
_CAUSE_CHARACTERS = 1000  # so that the message keeps its end, the advice


class Channel:
    """One resource's driver, and how to wait for it: shared by the resource and its tasks.

    Args:
        driver: The driver.
        polling: The pauses of waits.
        clock: Monotonic clock in seconds.
        sleep: Sleeps for a number of seconds.
        on_wait: Called before each pause in which a busy resource is waited for.
    """

    def __init__(
        self,
        driver: Driver[Any, Any],
        polling: PollingPolicy | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        on_wait: OnWait | None = None,
    ) -> None:
        self.driver = driver
        self.polling = polling or PollingPolicy()
        self.clock = clock
        self.sleep = sleep
        self.on_wait = on_wait

    @property
    def resource_id(self) -> str:
        """The resource's id."""
        return self.driver.resource_id

    def capability(self, kind: type[_CapabilityT]) -> _CapabilityT | None:
        """Return the driver as one that has a capability, None if the resource lacks it."""
        with self.calling() as driver:
            has = checked("supports", driver.supports(kind))
        return cast(_CapabilityT, self.driver) if has else None

    def needed(self, kind: type[_CapabilityT], function: str) -> _CapabilityT:
        """Return the driver as one that has a capability.

        Raises:
            UnsupportedFunctionError: The resource lacks it, and so the function.
        """
        found = self.capability(kind)
        if found is None:
            raise unsupported(function)
        return found

    def offers(self, function: str) -> bool:
        """Return True if the driver implements a method, and the resource supports it."""
        with self.calling() as driver:
            return offers(driver, function)

    def check_payload(self, payload: Payload) -> None:
        """Check the kind of a payload.

        Raises:
            TypeError: It is not a payload.
            UnsupportedPayloadError: The resource does not accept this kind.
        """
        if not isinstance(payload, Payload):
            raise TypeError(f"the payload must be a Payload, not {type(payload).__name__}")
        if not isinstance(payload, self.driver.payloads):
            takes = ", ".join(kind.kind for kind in self.driver.payloads)
            raise UnsupportedPayloadError(
                f"{self.resource_id} ({self.driver.resource_type}) does not take a {payload.kind} "
                f"payload, but {takes}",
                resource_id=self.resource_id,
            )

    @contextmanager
    def calling(
        self, task_id: str | None = None, *, uncertain: bool = False
    ) -> Iterator[Driver[Any, Any]]:
        """Yield the driver; see `defects_named`."""
        with defects_named(self.driver.settings, self.resource_id, task_id, uncertain=uncertain):
            yield self.driver

    def few_attempts(
        self, function: Callable[[], _T], may_help: Callable[[BaseException], bool]
    ) -> _T:
        """Call a function at most 4 times, and return its result; raise its last error.

        The pauses are 0.5, 1 and 2 seconds, and none that the deadline in force would cut short.

        Args:
            function: The function.
            may_help: Return True if another attempt may help after this error.
        """
        return repeat(
            function,
            lambda number, error: self.few_pause(number, error) if may_help(error) else math.inf,
            self.sleep,
        )

    def few_pause(self, attempt: int, error: BaseException) -> float:
        """Return the seconds until the next of at most 4 attempts; see `RetryPolicy.pause`."""
        # A vendor cannot ask for a longer pause than an outage may last.
        most = max(self.polling.max_outage_seconds, _FEW_PAUSES_SECONDS)
        longest = Deadline(current().clip(most), self.clock)
        return RetryPolicy(jitter=0.0).pause(attempt, error, longest)


@contextmanager
def defects_named(
    settings: Settings,
    resource_id: str | None = None,
    task_id: str | None = None,
    *,
    uncertain: bool = False,
) -> Iterator[None]:
    """Name the resource and the task in the errors of the block, and clean their texts.

    Exceptions that are not a `QrmiError`, which a driver must not raise, become one.

    Args:
        settings: The settings whose secrets are redacted.
        resource_id: The resource concerned.
        task_id: The task concerned.
        uncertain: True if the vendor may have carried out a call that ended in a defect.
    """
    try:
        yield
    except PASSING:
        raise
    except BaseException as error:  # vendors' libraries have errors that are no Exception
        redact = Redactor(settings.secrets())
        named = error if isinstance(error, QrmiError) else _defect(error, redact)
        redact.clean(named)
        named.resource_id = named.resource_id or resource_id
        named.task_id = named.task_id or task_id
        if named is error:
            raise
        named.uncertain = uncertain
        raise named from redact.cause(error)


def _defect(error: BaseException, redact: Redactor) -> PluginError:
    shown = partial(redact.excerpt, characters=_CAUSE_CHARACTERS)
    if cause := broken_dependency(error):
        return PluginError(f"the driver cannot be used: {shown(cause)}")
    wrong = isinstance(error, WrongReturnError)
    # This also shows an exception whose `__str__` fails.
    text = str(error) if wrong else "".join(traceback.format_exception_only(error))
    return DriverDefectError(
        f"the driver {'' if wrong else 'raised '}{shown(text)}; "
        "please report this to the authors of the plugin"
    )


def checked_id(value: object, what: str, resource_id: str | None = None) -> str:
    """Return an id that a caller gave.

    Raises:
        TypeError: It is not a string.
        InvalidInputError: It is empty, or cannot be encoded.
    """
    if not isinstance(value, str):
        raise TypeError(f"the {what} must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidInputError(f"the {what} is empty", resource_id=resource_id)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"the {what} {value!r} is not text", resource_id=resource_id
        ) from None
    return value
