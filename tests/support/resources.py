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
"""Makes a resource; takes its name by position and settings by keyword."""
SHORT = {
    "QRMI_HTTP_ATTEMPTS": "2",
    "QRMI_HTTP_READ_TIMEOUT_SECONDS": "0.1",
    "QRMI_HTTP_TRANSFER_TIMEOUT_SECONDS": "0.1",
}
"""Settings that give up early on a persistent fault."""


# Cached, since it reads the metadata of everything installed.
driver_of = cache(find_driver)


def quick(name: str, kind: str, settings: Mapping[str, str], **options: Any) -> QuantumResource:
    """Return a resource that hardly waits, whatever its back-off."""
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
    """Yield a function that makes resources which hardly wait; close them at the end.

    Args:
        name: Their default name.
        kind: Their type.
        settings: Returns their settings, given further ones by keyword.
    """
    with ExitStack() as made:

        def make(name: str = name, on_wait: OnWait | None = None, **more: str) -> QuantumResource:
            qpu = quick(name, kind, settings(**more), on_wait=on_wait)
            return made.enter_context(closing(qpu))

        yield make
