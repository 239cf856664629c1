"""The QPUs granted to a job, and the variables by which the job uses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from qrmi_core import ConfigError, InvalidInputError, QuantumResource, ResourceDef
from qrmi_core.plugin import Declaration, is_secret, prefixes
from qrmi_slurm import keys, variables
from qrmi_slurm.job import Job
from qrmi_slurm.resources import driver_of

_TOKEN = "QRMI_JOB_ACQUISITION_TOKEN"
_TIMEOUT = "QRMI_JOB_TIMEOUT_SECONDS"
_OURS = {"QRMI_JOB_ID", "QRMI_JOB_UID", _TIMEOUT, _TOKEN}
"""Settings whose values the site cannot choose."""


@attrs.define
class Grant:
    """A QPU that a job requested.

    Args:
        entry: Its entry in the site's configuration.
        resource_id: Its id; for a dynamic entry, the discovered id.
        resource: The resource to acquire; None if the job itself acquires it with its user's
            credentials.
        token: The acquisition token; None before or without an acquisition.
    """

    entry: ResourceDef
    resource_id: str
    resource: QuantumResource | None = None
    token: str | None = attrs.field(default=None, repr=False)

    def settings(self) -> Iterator[variables.Setting]:
        """Yield the settings that the job needs to use the QPU, for `variables.content`.

        Raises:
            ConfigError: A value cannot be passed on; the message names its key.
        """
        declared = driver_of(self.entry.resource_type).settings_class.declarations()
        for key, value in self.entry.environment.items():
            if key.upper() in _OURS:
                continue
            declaration = _declaration(list(declared.values()), key)
            hidden = is_secret(key) or (declaration is not None and declaration.secret)
            if self.entry.user_credentials and hidden:
                continue
            if not _fits_a_line(value):
                raise ConfigError(
                    f"{self.entry.name}: the value of {key} has line breaks, which Slurm does not "
                    f"pass on to jobs; write it to a file and set {key}_FILE"
                )
            setting = self._setting(key, value, declaration)
            if hidden:
                setting["file"] = keys.file_name(self.entry.name, key)
            yield setting
        if self.token is not None:
            yield self._setting(_TOKEN, self.token, _declaration(list(declared.values()), _TOKEN))

    def secrets(self) -> dict[str, str]:
        """Return the secrets that the job needs, by file name; see `keys`."""
        return {
            str(setting["file"]): str(setting["value"])
            for setting in self.settings()
            if "file" in setting
        }

    def timeout(self, seconds: int) -> dict[str, str]:
        """Return the variables of the job's time limit."""
        return {f"{prefix}{_TIMEOUT}": str(seconds) for prefix in prefixes(self.resource_id)}

    def _setting(self, key: str, value: str, declaration: Declaration | None) -> variables.Setting:
        """Return a setting with its variable names, and the user's variables that replace it.

        A user may have set it under an older name, as a file, or with the id in its shell form.
        """
        before = prefixes(self.resource_id)
        if declaration is None:
            names = [f"{prefix}{key}" for prefix in before]
            return {"value": value, "names": names, "unless": names}
        if not declaration.prefixed:
            before = ("",)
        key = key if key in declaration.names or key.endswith("_FILE") else key.upper()
        return {
            "value": value,
            "names": [f"{prefix}{key}" for prefix in before],
            "unless": [
                f"{prefix}{name}{ending}"
                for prefix in before
                for name in declaration.names
                for ending in ("", "_FILE")
            ],
        }


def content(grants: Sequence[Grant], job: Job, seconds: int, delimiter: str) -> bytes:
    """Return the content of the file with the job's variables.

    Args:
        grants: The granted QPUs, in the order of the job's request.
        job: The job.
        seconds: Its time limit.
        delimiter: The separator of the names.

    Raises:
        ConfigError: A value cannot be passed on.
    """
    names = delimiter.join(grant.resource_id for grant in grants)
    types = delimiter.join(grant.entry.resource_type for grant in grants)
    own = {
        "QRMI_JOB_ID": str(job.id),
        "QRMI_JOB_UID": str(job.uid),
        "QRMI_LIST_DELIMITER": delimiter,
    }
    for before in ("QRMI", "SLURM"):
        own |= {f"{before}_JOB_QPU_RESOURCES": names, f"{before}_JOB_QPU_TYPES": types}
    settings = []
    for grant in grants:
        own |= grant.timeout(seconds)
        settings += list(grant.settings())
    return variables.content(own=own, settings=settings)


def check(grants: Sequence[Grant], delimiter: str) -> None:
    """Check, before any acquisition, that the job can receive all settings.

    Raises:
        InvalidInputError: Two grants are of the same QPU.
        ConfigError: A value cannot be passed on, or two contradict each other.
    """
    ids: list[str] = []
    shared: dict[str, tuple[object, str]] = {}
    for grant in grants:
        name = grant.resource_id
        if name in ids:
            raise InvalidInputError(f"{name} is requested twice, once as {grant.entry.name}")
        ids.append(name)
        if delimiter in name or not _fits_a_line(name):
            raise ConfigError(f"{name!r} cannot be listed with the list_delimiter {delimiter!r}")
        for setting in grant.settings():
            for variable in setting["names"]:
                value, other = shared.setdefault(variable, (setting["value"], grant.entry.name))
                if value != setting["value"]:
                    raise ConfigError(
                        f"{other} and {grant.entry.name} differ in {variable}, which a job has "
                        "only once; request one of them"
                    )


def _declaration(declared: Sequence[Declaration], key: str) -> Declaration | None:
    name = key.upper().removesuffix("_FILE")
    return next(
        (
            item
            for item in declared
            if name in (known.upper() for known in item.names)
            or key.upper() in (known.upper() for known in item.names)
        ),
        None,
    )


def _fits_a_line(text: str) -> bool:
    return not any(character in text for character in "\r\n\0")
