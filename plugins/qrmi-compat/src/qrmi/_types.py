"""The enumeration of resource types."""

from __future__ import annotations

import qrmi_core
from qrmi_core.plugin import PublishedEnum

_OTHER = 1000
"""The first number of types that are not published."""


class ResourceType(PublishedEnum):
    """The type of a resource.

    ``ResourceType("local")`` returns a member for the type of any other plugin.
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
    """The type of releases up to 0.18; its number cannot clash with newly published ones."""

    @property
    def type_string(self) -> str:
        """The type as written in configuration files, such as ``pasqal-cloud``."""
        return str(getattr(qrmi_core.ResourceType, self.name, self.name))

    @classmethod
    def of(cls, type_string: str) -> ResourceType:
        """Return the member for a type as written in configuration files."""
        return cls(type_string)  # type: ignore[arg-type]  # see _missing_

    @classmethod
    def _missing_(cls, value: object) -> ResourceType | None:
        if not isinstance(value, str) or not value:
            return None
        for member in cls:
            if member.type_string == value:
                return member
        # A position in a table would differ between processes.
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
    """Return the core's type string.

    Raises:
        TypeError: The argument is not a member and not a string.
    """
    if isinstance(resource_type, ResourceType):
        return resource_type.type_string
    if isinstance(resource_type, str):
        return resource_type
    raise TypeError(f"resource_type must be a ResourceType, not {type(resource_type).__name__}")
