"""Resources of a service on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from typing import Any

from qrmi_core import QuantumResource
from qrmi_core.registry import find_driver
from qrmi_core.retry import OnWait

Make = Callable[..., QuantumResource]
"""Makes resources: the name by position, settings by keyword."""
SHORT = {
    "QRMI_HTTP_ATTEMPTS": "2",
    "QRMI_HTTP_READ_TIMEOUT_SECONDS": "0.1",
    "QRMI_HTTP_TRANSFER_TIMEOUT_SECONDS": "0.1",
}
"""Settings under which a fault that stays is soon given up on."""


# Each time it reads the metadata of all that is installed.
driver_of = cache(find_driver)


def quick(name: str, kind: str, settings: Mapping[str, str], **options: Any) -> QuantumResource:
    """A resource that waits for next to no time, however long it means to."""
    return QuantumResource(
        name,
        kind,
        {"QRMI_HTTP_FIRST_PAUSE_SECONDS": "0.001", **settings},
        sleep=lambda seconds: time.sleep(min(seconds, 0.02)),
        driver_class=driver_of(kind),
        **options,
    )


@contextmanager
def resources_of(name: str, kind: str, settings: Callable[..., dict[str, str]]) -> Iterator[Make]:
    """Makes resources that do not wait long; they are closed in the end.

    Args:
        name: Their name, unless another one is given.
        kind: Their type.
        settings: Gives their settings, with those that are given by keyword.
    """
    with ExitStack() as made:

        def make(name: str = name, on_wait: OnWait | None = None, **more: str) -> QuantumResource:
            qpu = quick(name, kind, settings(**more), on_wait=on_wait)
            return made.enter_context(closing(qpu))

        yield make
