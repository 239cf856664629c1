"""The acquisitions of one resource object."""

from __future__ import annotations

import logging
import threading
import uuid

import attrs

from qrmi_core.channel import Channel
from qrmi_core.driver import Acquires
from qrmi_core.errors import UnsupportedFunctionError
from qrmi_core.locks import Lock
from qrmi_core.reports import checked
from qrmi_core.submission import until_free

_log = logging.getLogger(__name__)


@attrs.frozen
class Held:
    """An acquisition that is held.

    Args:
        token: The acquisition token.
        real: True if it reserves something at the vendor.
        thread: The thread whose ``with`` acquired it, None for a call of `acquire`.
    """

    token: str = attrs.field(repr=False)
    real: bool
    thread: int | None


class Acquisitions:
    """The acquisitions of one resource object, and the one that a task runs under.

    Args:
        channel: The channel to the driver.
        scheduler_token: The token of the scheduler that acquired the resource for this job, None
            without one. It is used and never released.
    """

    def __init__(self, channel: Channel, scheduler_token: str | None) -> None:
        self._channel = channel
        self._scheduler_token = scheduler_token
        self._held: list[Held] = []
        self._lock = Lock()

    def acquire(
        self,
        timeout: float | None,
        *,
        detached: bool = False,
        slots: int | None = None,
        thread: int | None = None,
    ) -> str:
        """Reserve the resource and return the token; see `QuantumResource.acquire`."""
        acquiring = self._channel.capability(Acquires)
        if slots is not None and not (acquiring and acquiring.counts_slots):
            raise UnsupportedFunctionError(
                "slots cannot be reserved on this resource", resource_id=self._channel.resource_id
            )
        if self._scheduler_token is not None:
            held = Held(self._scheduler_token, True, thread)
        elif acquiring is None:
            held = Held(f"nothing-held-{uuid.uuid4()}", False, thread)
            _log.info(
                "%s cannot be reserved; the acquisition holds nothing", self._channel.resource_id
            )
        else:
            token = until_free(
                self._channel, lambda: self._acquire_once(acquiring, detached, slots), timeout
            )
            held = Held(token, True, thread)
        with self._lock:
            self._held.append(held)
        return held.token

    def _acquire_once(self, acquiring: Acquires, detached: bool, slots: int | None) -> str:
        with self._channel.calling():
            return checked("acquire", acquiring.acquire(detached=detached, slots=slots))

    def release(self, token: str, *, cancel_pending: bool) -> None:
        """End a reservation; see `QuantumResource.release`."""
        acquiring = self._channel.capability(Acquires)
        with self._lock:
            held = next((held for held in self._held if held.token == token), None)
        if token == self._scheduler_token:
            _log.info(
                "%s was acquired by the scheduler, which will release it", self._channel.resource_id
            )
        elif acquiring is not None and (held is None or held.real):
            with self._channel.calling():
                acquiring.release(token, cancel_pending=cancel_pending)
        with self._lock:
            if held in self._held:
                self._held.remove(held)

    def current(self) -> str | None:
        """Return the token for a task of this thread: that of its ``with``, else the newest."""
        with self._lock:
            newest = _newest(self._held)
        if newest is None:
            return self._scheduler_token
        return newest.token if newest.real else None

    def entered(self) -> str | None:
        """Return the token of the ``with`` to leave: this thread's newest, else the newest."""
        with self._lock:
            newest = _newest([held for held in self._held if held.thread is not None])
        return None if newest is None else newest.token


def _newest(held: list[Held]) -> Held | None:
    """Return the newest acquisition of this thread, else the newest of all."""
    ours = [one for one in held if one.thread == threading.get_ident()]
    return next(reversed(ours or held), None)
