"""The acquisition of one resource object."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from qrmi_core.channel import Channel
from qrmi_core.deadline import current
from qrmi_core.driver import Acquires
from qrmi_core.errors import InvalidArgumentError, ResourceBusyError, UnsupportedFunctionError
from qrmi_core.locks import Lock
from qrmi_core.reports import checked

_log = logging.getLogger(__name__)


class _Held:
    """An acquisition, also one whose release has failed.

    Args:
        token: The acquisition token.
        detached: As it was acquired.
        slots: As it was acquired.

    Attributes:
        holders: The `with` blocks that hold it, and None for each call of `acquire`.
        pid: The process that made it.
        ended: True if the vendor has rejected a task because it has ended.
    """

    def __init__(self, token: str, detached: bool, slots: int | None) -> None:
        self.token = token
        self.detached = detached
        self.slots = slots
        self.holders: list[object] = []
        self.pid = os.getpid()
        self.ended = False

    @property
    def inherited(self) -> bool:
        """True in a forked child, which may use it and does not end it."""
        return self.pid != os.getpid()

    @property
    def usable(self) -> bool:
        """True if tasks run under it."""
        return bool(self.holders) or self.inherited


class Acquisitions:
    """The acquisition of one resource object, shared by its threads, which are counted.

    Args:
        channel: The channel to the driver.
        scheduler_token: The token of the scheduler that acquired the resource for this job, None
            without one. It is used and never released.
    """

    def __init__(self, channel: Channel, scheduler_token: str | None) -> None:
        self._channel = channel
        self._scheduler_token = scheduler_token
        self._held: _Held | None = None
        self._lock = Lock()

    def acquire(
        self,
        timeout: float | None,
        *,
        detached: bool = False,
        slots: int | None = None,
        block: object = None,
    ) -> str:
        """Reserve the resource and return the token; see `QuantumResource.acquire`.

        Args:
            timeout: As there, and so are `detached` and `slots`.
            block: The `with` block that holds it, None without one.
        """
        acquiring = self._channel.capability(Acquires)
        if slots is not None and not (acquiring and acquiring.counts_slots):
            raise UnsupportedFunctionError(
                "slots cannot be reserved on this resource", resource_id=self._channel.resource_id
            )
        if self._scheduler_token is not None:
            return self._scheduler_token

        def hold() -> str:
            with self._turn():
                held = self._held
                if held is None or held.ended or not held.usable:
                    if held and not held.ended:
                        self._end(held, cancel_pending=False)
                    token = self._acquire_once(acquiring, detached, slots)
                    held = self._held = _Held(token, detached, slots)
                elif slots not in (None, held.slots) or (detached and not held.detached):
                    raise InvalidArgumentError(
                        "this object holds an acquisition of another kind (slots, detached); "
                        "make a second object for a second acquisition",
                        resource_id=self._channel.resource_id,
                    )
                held.holders.append(block)
                return held.token

        from qrmi_core.submission import until_free  # with all that submits a task

        return until_free(self._channel, hold, timeout)

    def _acquire_once(self, acquiring: Acquires | None, detached: bool, slots: int | None) -> str:
        if acquiring is None:
            _log.info(
                "%s cannot be reserved; the acquisition holds nothing", self._channel.resource_id
            )
            return f"nothing-held-{os.urandom(16).hex()}"
        with self._channel.calling():
            return checked("acquire", acquiring.acquire(detached=detached, slots=slots))

    def ends(self, token: str) -> bool:
        """Return True if releasing this token ends a reservation."""
        return token != self._scheduler_token and self._channel.capability(Acquires) is not None

    def release(self, token: str, *, cancel_pending: bool, block: object = None) -> None:
        """End a reservation; see `QuantumResource.release`.

        Args:
            token: As there, and so is `cancel_pending`.
            block: As for `acquire`; a release that was broken off may be repeated.
        """
        if token == self._scheduler_token:
            _log.info(
                "%s was acquired by the scheduler, which will release it", self._channel.resource_id
            )
            return
        with self._turn():
            held = self._held
            if held is None or held.token != token:
                self._release_once(token, cancel_pending)
                return
            self.abandon(token, block)
            if held.inherited:
                _log.info(
                    "%s was acquired by the parent process, which will release it",
                    self._channel.resource_id,
                )
            elif not held.holders:
                self._end(held, cancel_pending)

    def abandon(self, token: str, block: object = None) -> None:
        """Remove a holder without a request; the next `acquire` ends it before its own."""
        held = self._held
        if held and held.token == token and block in held.holders:
            held.holders.remove(block)

    def _end(self, held: _Held, cancel_pending: bool) -> None:
        # After an error it is kept, so that it can be released again.
        self._release_once(held.token, cancel_pending)
        self._held = None

    def _release_once(self, token: str, cancel_pending: bool) -> None:
        if acquiring := self._channel.capability(Acquires):
            with self._channel.calling():
                acquiring.release(token, cancel_pending=cancel_pending)

    def current(self) -> str | None:
        """Return the token that a task is submitted under, None without an acquisition."""
        held = self._held
        if held is None or not held.usable:
            return self._scheduler_token
        return held.token if self._channel.capability(Acquires) else None

    def rejected(self, token: str | None) -> bool:
        """Note that the vendor has rejected a task, since the acquisition has ended.

        Returns:
            True if another thread has released it meanwhile, and the task may be submitted again.
            Else the next `acquire` makes a new one; until then no task is submitted, as it would
            get into another queue.
        """
        if token != self.current():
            return True
        if self._held and self._held.token == token:
            self._held.ended = True
        return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one thread at a time acquire or release.

        Raises:
            ResourceBusyError: Another thread did so until the deadline in force.
        """
        if not self._lock.acquire(current().remaining()):
            raise ResourceBusyError(
                "another thread of this process is acquiring or releasing it",
                resource_id=self._channel.resource_id,
            )
        try:
            yield
        finally:
            self._lock.release()
