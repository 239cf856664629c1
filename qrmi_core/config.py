"""Configuration files, the environment of a job, and resources by their names."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from qrmi_core.discovery import ResourceProvider
from qrmi_core.errors import ConfigError, EnvVarNotSetError, InvalidInputError
from qrmi_core.folders import config_folder, expand
from qrmi_core.redaction import is_secret
from qrmi_core.registry import find_driver, installed
from qrmi_core.resource import QuantumResource
from qrmi_core.values import ResourceType

_log = logging.getLogger(__name__)

FILE_NAME = "qrmi_config.json"
SITE_FILE = Path("/etc/qrmi") / FILE_NAME


_FIELDS: Mapping[str, type] = {
    "name": str,
    "type": str,
    "is_dynamic": bool,
    "user_credentials": bool,
    "cancel_pending": bool,
    "environment": dict,
    "scheduler_environment": dict,
}
"""The keys of an entry, and the kinds of their values."""
_REQUIRED = frozenset({"name", "type", "environment"})


@attrs.frozen
class ResourceDef:
    """One entry of ``qrmi_config.json``.

    Args:
        name: The resource's id.
        resource_type: Its type.
        is_dynamic: True if the entry is not a resource but the settings for discovery.
        environment: Its settings, unprefixed; not printed, since they hold secrets.
        scheduler_environment: Further settings, which a scheduler alone uses, to acquire and to
            release; they win over those of `environment`, and are not printed either.
        user_credentials: True if a scheduler only counts and names the resource, which each job
            acquires with credentials of its user.
        cancel_pending: True if a scheduler that releases the resource at a job's end cancels the
            tasks that the job has left in the queue.
    """

    name: str
    resource_type: ResourceType = attrs.field(converter=ResourceType)
    is_dynamic: bool = False
    environment: dict[str, str] = attrs.field(factory=dict, converter=dict, repr=False)
    scheduler_environment: dict[str, str] = attrs.field(factory=dict, converter=dict, repr=False)
    user_credentials: bool = False
    cancel_pending: bool = True

    def scheduler_settings(self) -> dict[str, str]:
        """Return the unprefixed settings with which a scheduler acquires and releases.

        A key of `scheduler_environment` replaces the same key of `environment`, also where one of
        them is written in lower case or as ``<KEY>_FILE``.
        """
        replaced = {_bare(key) for key in self.scheduler_environment}
        shared = {key: text for key, text in self.environment.items() if _bare(key) not in replaced}
        return shared | self.scheduler_environment


def _bare(key: str) -> str:
    return (key.upper() if key.islower() else key).removesuffix("_FILE")


@attrs.frozen
class Config:
    """The resources of one configuration file.

    Args:
        path: The file.
        resources: Its entries, in order.
    """

    path: Path
    resources: tuple[ResourceDef, ...]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Config:
        """Read a file and check it as a whole; settings are checked when they are used.

        Raises:
            ConfigError: Names the file and every problem in it, with entry and key.
        """
        report = inspect_config(path)
        if report.problems:
            raise ConfigError(f"{report.path}: {'; '.join(report.problems)}")
        for warning in report.warnings:
            _log.warning("%s: %s", report.path, warning)
        return cls(report.path, report.resources)

    @property
    def resource_map(self) -> dict[str, ResourceDef]:
        """A new dictionary of the entries by name."""
        return {entry.name: attrs.evolve(entry) for entry in self.resources}

    def resource(self, name: str, **how: Any) -> QuantumResource:
        """Return the resource of an entry, for a dynamic entry the least busy online one.

        Args:
            name: The entry's name, or ``entry:id`` for a certain resource of a dynamic entry.
            how: Further arguments of `QuantumResource`.

        Raises:
            ConfigError: There is no such entry, or no resource of a dynamic one is online.
        """
        entries = self.resource_map
        head, _, tail = name.partition(":")
        if name in entries:
            entry, resource_id = entries[name], name
        elif head in entries and entries[head].is_dynamic and tail:
            entry, resource_id = entries[head], tail
        else:
            raise ConfigError(f"{self.path}: no entry {name} (there are: {_listed(entries)})")
        if entry.is_dynamic and entry.name == name:
            provider = ResourceProvider(entry.resource_type, entry.environment)
            found = next(iter(provider.infos("status=online")), None)
            if found is None:
                raise ConfigError(f"{self.path}: no resource of {name} is online")
            _log.info("%s: the least busy is %s", name, found.resource_id)
            resource_id = found.resource_id
        return QuantumResource(resource_id, entry.resource_type, entry.environment, **how)


# Reading a file


@attrs.frozen
class FileReport:
    """The entries of a configuration file and its problems.

    Args:
        path: The file.
        resources: The correct entries.
        problems: Reasons why the file cannot be used.
        warnings: Things to change in a file that can be used.
    """

    path: Path
    resources: tuple[ResourceDef, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _Object(dict[str, Any]):
    """A JSON object that remembers its duplicate keys."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]


def inspect_config(path: str | os.PathLike[str]) -> FileReport:
    """Read a configuration file and collect all its problems."""
    path = Path(path)
    try:
        # The mode is that of the file which was read, whatever the name points to later.
        with path.open(encoding="utf-8") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = json.loads(stream.read(), object_pairs_hook=_Object)
    except OSError as error:
        return FileReport(path, problems=(f"cannot be read: {error.strerror}",))
    except UnicodeDecodeError:
        return FileReport(path, problems=("is not UTF-8 text",))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        return FileReport(path, problems=(f"is not JSON: {error.msg} ({where})",))
    except (RecursionError, ValueError) as error:
        return FileReport(path, problems=(f"is not JSON that can be read: {error}",))
    if not isinstance(data, _Object):
        problem = f"must be an object with the key resources, not {_kind(data)}"
        return FileReport(path, problems=(problem,))
    problems = [*_wrong(data, {"resources": list}, {"resources"})]
    warnings = _unknown("", data, {"resources"})
    entries: list[ResourceDef] = []
    items = data.get("resources")
    for number, item in enumerate(items if isinstance(items, list) else []):
        where = f"resources[{number}]: "
        if not isinstance(item, _Object):
            problems.append(f"{where}must be an object, not {_kind(item)}")
            continue
        if isinstance(item.get("name"), str) and item["name"]:
            where = f"{item['name']}: "
        wrong = [where + problem for problem in _wrong(item, _FIELDS, _REQUIRED)]
        problems += wrong
        warnings += _unknown(where, item, _FIELDS)
        if wrong:
            continue
        given = {key: item[key] for key in _FIELDS if key in item}
        entry = ResourceDef(given.pop("name"), given.pop("type"), **given)
        if entry.user_credentials and entry.scheduler_environment:
            warnings.append(
                f"{where}scheduler_environment is not used, since user_credentials leaves the "
                "resource to each job's user"
            )
        if any(entry.name == other.name for other in entries):
            problems.append(f"{where}the name is there twice")
        entries.append(entry)
    if mode & 0o044 and (secret := first_secret(entries)):
        warnings.append(f"others can read the file, which holds {secret}; chmod 600 {path}")
    return FileReport(path, tuple(entries), tuple(problems), tuple(warnings))


def _wrong(item: _Object, kinds: Mapping[str, type], required: Container[str]) -> Iterator[str]:
    """Yield the problems of an object whose values must be of these kinds."""
    yield from (f"the key {key} is there twice" for key in item.twice)
    for key, kind in kinds.items():
        value = item.get(key)
        if key not in item:
            if key in required:
                yield f"{key} is missing"
        elif not isinstance(value, kind):
            yield f"{key} must be {_KINDS[kind]}, not {_kind(value)}"
        elif value == "":
            yield f"{key} is empty"
        elif isinstance(value, _Object):
            yield from (f"{key}: {name} is there twice" for name in value.twice)
            for name, text in value.items():
                if not isinstance(text, str):
                    yield f"{key}: {name} must be a string, not {_kind(text)}"


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def _kind(value: object) -> str:
    return next(word for kind, word in _KINDS.items() if isinstance(value, kind))


def _unknown(where: str, item: _Object, known: Container[str]) -> list[str]:
    return [f"{where}the key {key} is unknown and ignored" for key in item if key not in known]


def first_secret(entries: Iterable[ResourceDef]) -> str | None:
    """Return the words for the first setting that is secret by its name, or None."""
    return next(
        (
            f"{key} of {entry.name}"
            for entry in entries
            for key, value in (
                *entry.environment.items(),
                *entry.scheduler_environment.items(),
            )
            if value and is_secret(key)
        ),
        None,
    )


# The job's environment


def get_job_qpu_resources_and_types(
    environment: Mapping[str, str] | None = None,
) -> tuple[list[str], list[str]]:
    """Return names and types of the resources of this job, as the scheduler wrote them.

    Args:
        environment: The variables; by default the process environment.

    Raises:
        EnvVarNotSetError: The process does not run in a job with quantum resources.
        ConfigError: The lists do not match, or the delimiter is empty.
    """
    source = os.environ if environment is None else environment
    delimiter = source.get("QRMI_LIST_DELIMITER", ",")
    if not delimiter:
        raise ConfigError("QRMI_LIST_DELIMITER is empty; unset it for a comma")
    names = _job_list(source, "JOB_QPU_RESOURCES", delimiter)
    types = _job_list(source, "JOB_QPU_TYPES", delimiter)
    if len(names) != len(types):
        raise ConfigError(
            "QRMI_JOB_QPU_RESOURCES and QRMI_JOB_QPU_TYPES do not match: "
            f"{len(names)} names {names}, {len(types)} types {types}"
        )
    if not names:
        _log.warning("QRMI_JOB_QPU_RESOURCES is empty: the job has no quantum resource")
    return names, types


def _job_list(source: Mapping[str, str], word: str, delimiter: str) -> list[str]:
    text = source.get(f"QRMI_{word}", source.get(f"SLURM_{word}"))
    if text is None:
        raise EnvVarNotSetError(
            f"QRMI_{word} is not set (nor SLURM_{word}): not running in a job with quantum "
            "resources"
        )
    return text.split(delimiter) if text else []


def job_resources(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the type of each resource of this job by its name, without surrounding spaces.

    Raises:
        EnvVarNotSetError: The process does not run in a job with quantum resources.
        ConfigError: The lists do not match, or hold an empty name or one with two types.
    """
    found: dict[str, str] = {}
    for name, kind in zip(*get_job_qpu_resources_and_types(environment), strict=True):
        name, kind = name.strip(), kind.strip()
        if not name or not kind:
            raise ConfigError("QRMI_JOB_QPU_RESOURCES or QRMI_JOB_QPU_TYPES has an empty element")
        if found.setdefault(name, kind) != kind:
            raise ConfigError(f"QRMI_JOB_QPU_TYPES gives {name} two types: {found[name]}, {kind}")
    return found


def resources_from_job(environment: Mapping[str, str] | None = None) -> list[QuantumResource]:
    """Return the resources that the scheduler gave to this job.

    Args:
        environment: The variables of the job and the settings; by default the process environment.

    Raises:
        EnvVarNotSetError: The process does not run in a job with quantum resources, or settings
            are missing.
        ConfigError: The variables contradict each other, or settings are malformed.
        PluginError: The driver of a type cannot be used.
    """
    return [
        QuantumResource(name, kind, environment=environment)
        for name, kind in job_resources(environment).items()
    ]


# Names


def config_files(config_path: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return the configuration files in use, in order.

    These are the one given, else $QRMI_CONFIG, else the user's and the site's where they can be
    read; never one of the working directory.
    """
    return _found_files(config_path)[0]


def _found_files(config_path: str | os.PathLike[str] | None) -> tuple[list[Path], list[Path]]:
    """Return the configuration files in use, and those that exist but cannot be read."""
    explicit = config_path or os.environ.get("QRMI_CONFIG")
    if explicit:
        return [expand(explicit)], []
    own = []
    # A user without a home folder has no file of their own.
    with suppress(ConfigError):
        own.append(config_folder() / "qrmi" / FILE_NAME)
    usual = [*own, SITE_FILE]
    files = [path for path in usual if os.access(path, os.R_OK)]
    closed = [path for path in usual if path not in files and os.path.exists(path)]
    # The site's file may be meant for the scheduler alone.
    for path in own:
        if path in closed:
            _log.warning("%s is ignored, since it cannot be read; check its owner and mode", path)
    return files, closed


def open_resource(
    name: str, config_path: str | os.PathLike[str] | None = None, **how: Any
) -> QuantumResource:
    """Return a resource by the name that people and scripts use.

    Args:
        name: ``type:id``, with settings from the environment; else a resource of this job; else
            an entry of a configuration file (see `config_files`), or ``entry:id`` for a certain
            resource of a dynamic entry.
        config_path: The configuration file to use in place of the usual ones.
        how: Further arguments of `QuantumResource`.

    Raises:
        ConfigError: The name is unknown; the message lists the known names and the places that
            were searched. Or settings are missing or malformed.
        PluginError: The driver cannot be used.
    """
    head, colon, tail = name.partition(":")
    if not head or (colon and not tail):
        raise InvalidInputError(f"{name!r} is not a name of a resource; write a name or type:id")
    if colon and installed(name=head):
        return QuantumResource(tail, head, **how)
    looked = ["QRMI_JOB_QPU_RESOURCES"]
    job: dict[str, str] = {}
    try:
        job = job_resources()
    except EnvVarNotSetError:
        looked = ["QRMI_JOB_QPU_RESOURCES (not set)"]
    if name in job:
        return QuantumResource(name, job[name], **how)
    known = dict.fromkeys(job, looked[0])  # name -> where
    files, closed = _found_files(config_path)
    for path in files:
        config = Config.load(path)
        entries = config.resource_map
        if name in entries or (head in entries and entries[head].is_dynamic):
            return config.resource(name, **how)
        looked.append(str(path))
        known |= {entry: looked[-1] for entry in entries if entry not in known}
    looked += [f"{path} (cannot be read)" for path in closed]
    if colon and head in known:
        raise ConfigError(
            f"{head} is an entry of {known[head]} and not a resource type; write {head} for its "
            "resource (only a dynamic entry takes an id)"
        )
    if colon:
        find_driver(head)
    if not files and not closed:
        looked.append("no configuration file (--config, QRMI_CONFIG, ~/.config/qrmi, /etc/qrmi)")
    raise ConfigError(
        f"there is no resource {name} (known: {_listed(known)}; searched: {', '.join(looked)}); "
        "write type:id for a resource with its settings in the environment"
    )


def _listed(names: Mapping[str, object] | list[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "none"
