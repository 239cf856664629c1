"""The enumeration of resource types."""

from __future__ import annotations

import qrmi_core
from qrmi_core.plugin import PublishedEnum

_OTHER = 1000
"""Numbers of types that are not published begin here."""


class ResourceType(PublishedEnum):
    """The type of a resource.

    ``ResourceType("local")`` gives a member for the type of any other plugin.
    """

    IBMQuantumSystem = 0
    IBMQiskitRuntimeService = 1
    IBMQuantumComputeService = 2
    PasqalCloud = 3
    PasqalLocal = 4
    AliceBobFelis = 5
    IQMServer = 6
    OQTOPUS = 7
    IBMDirectAccess = 100
    """Of the releases up to 0.18; out of the way of numbers yet to be published."""

    @property
    def type_string(self) -> str:
        """The type as it is in configuration files, such as ``pasqal-cloud``."""
        return str(getattr(qrmi_core.ResourceType, self.name, self.name))

    @classmethod
    def of(cls, type_string: str) -> ResourceType:
        """Return the member for a type as it is in configuration files."""
        return cls(type_string)  # type: ignore[arg-type]  # see _missing_

    @classmethod
    def _missing_(cls, value: object) -> ResourceType | None:
        if not isinstance(value, str) or not value:
            return None
        for member in cls:
            if member.type_string == value:
                return member
        # Not the position in a table, so that it is the same in every process.
        number = _OTHER + int.from_bytes(value.encode())
        other = int.__new__(cls, number)
        other._name_ = value
        other._value_ = number
        found = cls._value2member_map_.setdefault(number, other)
        assert isinstance(found, ResourceType)
        return found

    def __reduce_ex__(self, _protocol: object) -> tuple[type[ResourceType], tuple[str]]:
        return ResourceType, (self.type_string,)


def type_string(resource_type: ResourceType | str) -> str:
    """Return the type as the core has it.

    Raises:
        TypeError: The argument is not a member and not a string.
    """
    if isinstance(resource_type, ResourceType):
        return resource_type.type_string
    if isinstance(resource_type, str):
        return resource_type
    raise TypeError(f"resource_type must be a ResourceType, not {type(resource_type).__name__}")
