"""Discovery of the resources that an account reaches, the least busy first."""

from __future__ import annotations

import fnmatch
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from qrmi_core.channel import defects_named
from qrmi_core.driver import Discovers, Driver
from qrmi_core.errors import InvalidInputError, UnsupportedResourceTypeError
from qrmi_core.registry import find_driver
from qrmi_core.reports import checked
from qrmi_core.resource import QuantumResource
from qrmi_core.values import ResourceInfo, ResourceStatusCode

_log = logging.getLogger(__name__)

Condition = Callable[[ResourceInfo], bool]
"""Returns True if a resource matches a filter. Unknown values never match."""

# Up to the end if it is open, so that no part of a pattern is read twice.
_SET = re.compile(r"\[!?\]?[^\]]*(\]?)")


def parse_filters(text: str | None) -> dict[str, str]:
    """Split ``key=value`` segments joined by ``&``; spaces around keys and values are ignored.

    Raises:
        InvalidInputError: A segment has no ``=``, or a key is given twice.
    """
    filters: dict[str, str] = {}
    for segment in (text or "").split("&"):
        if not segment.strip():
            continue
        key, equals, value = (part.strip() for part in segment.partition("="))
        if not equals or not key:
            raise InvalidInputError(f"filter {segment.strip()!r} is not of the form key=value")
        if key in filters:
            raise InvalidInputError(f"filter {key} is given twice")
        filters[key] = value
    return filters


def _at_least(value: str, number: Callable[[ResourceInfo], int | None]) -> Condition:
    if not re.fullmatch(r"[0-9]{1,18}", value):
        raise ValueError("a whole number")
    return lambda info: (found := number(info)) is not None and found >= int(value)


def _name(pattern: str) -> Condition:
    # fnmatch would take both literally or as something else, and nothing would be found.
    is_open = any(not found[1] for found in _SET.finditer(pattern))
    if not pattern or is_open or ("**" in _SET.sub("", pattern) and pattern != "**"):
        raise ValueError("a pattern of *, ? and [...]")
    return lambda info: fnmatch.fnmatchcase(info.resource_id, pattern)


def _is_simulator(value: str) -> Condition:
    if value not in ("true", "false"):
        raise ValueError("true or false")
    return lambda info: info.is_simulator is (value == "true")


def _status(value: str) -> Condition:
    if value != "online":
        raise ValueError("online")
    return lambda info: info.status is ResourceStatusCode.Online


FILTERS: Mapping[str, Callable[[str], Condition]] = {
    "num_qubits": lambda value: _at_least(value, lambda info: info.num_qubits),
    "max_shots": lambda value: _at_least(value, lambda info: info.max_shots),
    "name": _name,
    "is_simulator": _is_simulator,
    "status": _status,
}
"""The common filters."""


def conditions(filters: Mapping[str, str]) -> list[Condition]:
    """Return the conditions of the common filters among `filters`.

    Raises:
        InvalidInputError: A value does not fit its key.
    """
    found = []
    for key, value in filters.items():
        try:
            if key in FILTERS:
                found.append(FILTERS[key](value))
        except ValueError as error:
            raise InvalidInputError(f"filter {key}: {value!r} is not {error}") from None
    return found


class ResourceProvider:
    """The resources that one account reaches. Nothing is written to the environment.

    Args:
        resource_type: The type, which names the driver.
        environment: Settings with unprefixed keys, as for a resource.

    Raises:
        UnsupportedResourceTypeError: No installed driver has this type, or it cannot discover.
        PluginError: The driver cannot be used.
        ConfigError: Settings are missing or malformed; all are named.

    Attributes:
        resource_class: The class of the resources found.
    """

    resource_class: ClassVar[type[QuantumResource]] = QuantumResource

    def __init__(self, resource_type: str, environment: Mapping[str, str]) -> None:
        self._type = resource_type
        driver_class = find_driver(resource_type)
        if not issubclass(driver_class, Discovers):
            raise UnsupportedResourceTypeError(
                f"resources of type {resource_type} cannot be discovered; name one: "
                f"{resource_type}:ID"
            )
        self._driver_class: type[Driver[Any, Any]] = driver_class
        self._discover = driver_class.discover
        self._environment = dict(environment)
        self._settings = driver_class.settings_class.from_mapping(environment)

    def infos(self, filters: str | None = None) -> list[ResourceInfo]:
        """Return the vendor's facts about each resource, the least busy first.

        Args:
            filters: ``key=value`` joined by ``&``: ``num_qubits`` and ``max_shots`` (at least),
                ``name`` (a pattern of ``*``, ``?``, ``[...]``), ``is_simulator`` (``true``,
                ``false``), ``status`` (``online``). Nothing is filtered by default, and an unknown
                key warns.

        Raises:
            InvalidInputError: A filter is malformed; found before any request.
        """
        given = parse_filters(filters)
        wanted = conditions(given)
        for key in given.keys() - FILTERS.keys():
            _log.warning("filter %s is unknown to resources of type %s", key, self._type)
        with defects_named(self._settings):
            found = list(checked("discover", self._discover(self._settings, given)))
        return sorted(
            (info for info in found if all(fits(info) for fits in wanted)),
            key=lambda info: (info.pending_job_count is None, info.pending_job_count or 0),
        )

    def resources(self, filters: str | None = None) -> list[QuantumResource]:
        """Return the resources that match the filters (see `infos`), the least busy first.

        Resources with an unknown number of waiting tasks come last.
        """
        return [self.resource(info.resource_id) for info in self.infos(filters)]

    def least_busy(self, filters: str | None = None) -> QuantumResource | None:
        """Return the first of `resources`, or None."""
        return next((self.resource(info.resource_id) for info in self.infos(filters)), None)

    def resource(self, resource_id: str, **how: Any) -> QuantumResource:
        """Return one resource with these settings.

        Args:
            resource_id: The id of the resource.
            how: Further arguments of `QuantumResource`.
        """
        return self.resource_class(
            resource_id, self._type, self._environment, driver_class=self._driver_class, **how
        )
