"""Devices in a resource's target."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from pulser.json.abstract_repr.deserializer import deserialize_device

from qrmi_core import InvalidResponseError
from qrmi_pulser.errors import in_short

if TYPE_CHECKING:
    from pulser.devices import Device

_log = logging.getLogger(__name__)


def read_devices(text: str, resource_id: str) -> dict[str, Device]:
    """Return Pulser devices by the vendor's names; log and skip unreadable ones.

    Args:
        text: The target, ``[{"device_type": ..., "specs": ...}, ...]`` in JSON.
        resource_id: The resource of the target.

    Raises:
        InvalidResponseError: The target is not such a list, or Pulser cannot read any of them.
    """
    devices: dict[str, Device] = {}
    broken: Exception | None = None
    try:
        listed = [(entry["device_type"], entry["specs"]) for entry in json.loads(text)]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _unreadable(resource_id, error) from error
    for name, specs in listed:
        try:
            devices[name] = deserialize_device(_text(specs))
        except Exception as error:
            _log.warning(
                "%s: the device %s cannot be read and is left out: %s",
                resource_id,
                name,
                in_short(error),
            )
            broken = error
    if broken and not devices:
        raise _unreadable(resource_id, broken) from broken
    return devices


def _text(specs: Any) -> str:
    return specs if isinstance(specs, str) else json.dumps(specs)


def _unreadable(resource_id: str, error: Exception) -> InvalidResponseError:
    return InvalidResponseError(
        f"the target of {resource_id} lists no device that Pulser can read: {in_short(error)}",
        resource_id=resource_id,
    )
