"""Counts of bit strings in the result of a task, read by plugins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from qrmi_core.channel import Channel
from qrmi_core.driver import Driver
from qrmi_core.errors import (
    PASSING,
    InvalidResponseError,
    PluginError,
    UnsupportedFunctionError,
)
from qrmi_core.locks import Lock
from qrmi_core.redaction import Redactor
from qrmi_core.registry import READERS, PluginInfo, import_plugin, installed

Reader = Callable[[str], Iterable[Mapping[str, int]]]
"""Reads the text of a result: the counts of each circuit, or an exception if it has none.

A distribution registers it in the group ``qrmi.readers`` under the kind of payload that such
results belong to.
"""

_REASON_CHARACTERS = 300


class _Task(Protocol):
    id: str
    channel: Channel


def counts_of(task: _Task, text: str) -> list[dict[str, int]]:
    """Return how often each bit string was measured, in one mapping for each circuit.

    The readers for the resource's payloads are tried in turn, beginning with the one that comes
    with the resource's driver. The order of the bits is that of the vendor.

    Args:
        task: The task.
        text: The text of its result.

    Raises:
        UnsupportedFunctionError: No reader is installed for the resource's payloads.
        InvalidResponseError: The result has no counts.
        PluginError: The only reader that might read it cannot be used.
    """
    driver = task.channel.driver
    with _finding:
        if driver not in _readers:
            _readers[driver] = _find_readers(driver)
    failures: list[BaseException] = []
    for info in _readers[driver]:
        try:
            return [*_checked(import_plugin(info, READERS)(text))]
        except PASSING:
            raise
        except BaseException as error:  # vendors' libraries have errors that are no Exception
            failures.append(error)
    failures = [error for error in failures if not isinstance(error, PluginError)] or failures
    if isinstance(failures[0], PluginError):
        raise failures[0]
    redact = Redactor(driver.settings.secrets())
    reasons = (redact.excerpt(_reason(each), _REASON_CHARACTERS) for each in failures)
    raise InvalidResponseError(
        f"the result of task {task.id} cannot be read as counts: "
        f"{'; '.join(dict.fromkeys(reasons))}",
        resource_id=driver.resource_id,
        task_id=task.id,
    ) from redact.cause(failures[0])


# Looking through all installed distributions takes longer than reading a result.
_readers: WeakKeyDictionary[Driver[Any, Any], list[PluginInfo]] = WeakKeyDictionary()
_finding = Lock()


def _find_readers(driver: Driver[Any, Any]) -> list[PluginInfo]:
    """Return the readers of a resource's payloads, those of its driver's distribution first."""
    kinds = [kind.kind for kind in driver.payloads]
    infos = [info for info in installed(READERS) if info.name in kinds]
    if not infos:
        raise UnsupportedFunctionError(
            f"no plugin is installed that reads results of {' or '.join(kinds) or 'this resource'} "
            "as counts",
            resource_id=driver.resource_id,
        )
    own = {info.distribution for info in installed(name=driver.resource_type)}
    return sorted(infos, key=lambda info: info.distribution not in own)


def _reason(error: BaseException) -> str:
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"


def _checked(found: Iterable[Mapping[str, int]]) -> Iterator[dict[str, int]]:
    """Yield counts of bit strings of one length, at least one of which was measured."""
    for counts in found:
        for bits, count in counts.items():
            if not re.fullmatch("[01]+", str(bits)) or type(count) is not int or count < 0:
                raise ValueError(f"{bits!r:.40}: {count!r:.40} is not a count of a bit string")
        if not any(counts.values()):
            raise ValueError("it has no counts")
        if len({len(bits) for bits in counts}) > 1:
            raise ValueError("its bit strings are of different lengths")
        yield dict(counts)
