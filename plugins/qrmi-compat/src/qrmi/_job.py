"""Configuration files, the job's environment, and the resources of a job."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

import attrs

import qrmi_core
from qrmi._errors import ConfigError, EnvVarNotSetError, JobVariablesError, QrmiError
from qrmi._resource import QuantumResource
from qrmi._types import ResourceType
from qrmi_core import ResourceStatusCode
from qrmi_core.plugin import job_resources, recast

_log = logging.getLogger(__name__)


@attrs.frozen
class ResourceDef:
    """One entry of a configuration file.

    Args:
        name: The resource's id.
        resource_type: Its type.
        is_dynamic: True if the entry has settings for discovery instead of a resource.
        environment: Its settings, unprefixed; omitted from `repr`, since they contain secrets.
    """

    name: str
    resource_type: ResourceType
    is_dynamic: bool = False
    environment: dict[str, str] = attrs.field(factory=dict, repr=False)


class Config:
    """The resources of a configuration file; returned by `load`."""

    def __init__(self, loaded: qrmi_core.Config) -> None:
        self._loaded = loaded

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Config:
        """Read a file and check its structure; settings are checked on first use.

        Raises:
            ConfigError: The file is wrong; the message names it and every problem.
        """
        return cls(qrmi_core.Config.load(path))

    @property
    def resource_map(self) -> dict[str, ResourceDef]:
        """The entries by name; a new dictionary each time, so changing it has no effect."""
        return {
            entry.name: ResourceDef(
                entry.name,
                ResourceType.of(str(entry.resource_type)),
                entry.is_dynamic,
                dict(entry.environment),
            )
            for entry in self._loaded.resources
        }


def get_job_qpu_resources_and_types() -> tuple[list[str], list[str]]:
    """Return the names and type strings of the job's resources, in the order of its variables.

    Raises:
        EnvVarNotSetError: The process does not run in a job with quantum resources.
        ConfigError: The lists do not match; also a ValueError.
    """
    try:
        return qrmi_core.get_job_qpu_resources_and_types()
    except EnvVarNotSetError:
        raise
    except ConfigError as error:
        raise recast(error, JobVariablesError) from error


class QRMIService:
    """The resources of this job that are available now.

    A resource that cannot be created, does not respond or is offline is skipped with a warning.

    Raises:
        EnvVarNotSetError: The process does not run in a job with quantum resources.
        ConfigError: The job's variables contradict each other.
        QrmiError: No resource is available; the message has the reason from the scheduler's
            QRMI_PLUGIN_ERROR.
    """

    def __init__(self) -> None:
        reason = os.environ.get("QRMI_PLUGIN_ERROR")
        self._resources: dict[str, QuantumResource] = {}
        try:
            self._look(job_resources())
        except EnvVarNotSetError as error:
            if not reason:
                raise
            raise QrmiError(f"{error.message}; the scheduler's plugin says: {reason}") from error
        if reason and not self._resources:
            raise QrmiError(
                f"this job has no quantum resource; the scheduler's plugin says: {reason}"
            )

    def _look(self, job: Mapping[str, str]) -> None:
        for name, kind in job.items():
            try:
                resource = QuantumResource(name, kind)
                status = resource.status()
            except QrmiError as error:
                _log.warning("%s (%s) is left out: %s", name, kind, error)
                continue
            if status.status is ResourceStatusCode.Online:
                self._resources[name] = resource
            else:
                why = f": {status.status_reason}" if status.status_reason else ""
                state = status.status.name.lower()
                _log.warning("%s (%s) is left out: it is %s%s", name, kind, state, why)

    def resources(self) -> list[QuantumResource]:
        """Return the resources, in the order of the job's variables; always the same objects."""
        return list(self._resources.values())

    def resource(self, resource_id: str) -> QuantumResource | None:
        """Return the resource with this name, or None."""
        return self._resources.get(resource_id)
