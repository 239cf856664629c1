"""Checks of the settings of resources that contact no vendor."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

import attrs

from qrmi_core.config import FileReport, ResourceDef
from qrmi_core.errors import ConfigError, QrmiError
from qrmi_core.registry import find_driver
from qrmi_core.settings import Settings

_OF_THE_SCHEDULER = {"acquire", "release"}


@attrs.frozen
class Finding:
    """A problem.

    Args:
        source: The file, the environment, or the installation.
        resource: The resource concerned, None for the file as a whole.
        severity: ``error``, ``warning``, or ``note`` for something that is often intended.
        message: The problem in words.
    """

    source: str
    resource: str | None
    severity: str
    message: str

    def __str__(self) -> str:
        where = f"{self.source}: {self.resource}" if self.resource else self.source
        return f"{self.severity}: {where}: {self.message}"


def check_file(report: FileReport) -> Iterator[Finding]:
    """Yield the problems of a configuration file as such."""
    for problem in report.problems:
        yield Finding(str(report.path), None, "error", problem)
    for warning in report.warnings:
        yield Finding(str(report.path), None, "warning", warning)


def check_entry(
    entry: ResourceDef, source: str, added: Mapping[str, str] | None = None
) -> Iterator[Finding]:
    """Yield the problems of an entry's settings, and whom they concern.

    Args:
        entry: The entry.
        source: Its file.
        added: Settings that the scheduler will add by itself.
    """
    name, given = entry.name, entry.environment | entry.scheduler_environment
    settings_class = yield from _settings_class(name, entry.resource_type, source)
    if settings_class is None:
        return
    full = {**(added or {}), **entry.scheduler_settings()}
    if not entry.user_credentials:
        yield from _unusable(name, source, lambda: settings_class.from_mapping(full, name))
    else:
        for problem in settings_class.malformed(given):
            yield Finding(source, name, "error", f"settings: {problem}")
    if entry.user_credentials or entry.scheduler_environment:
        yield from _left_to_users(entry, settings_class, source)
    # A mapping's keys may be written in lower case as a whole.
    keys = {key: key.upper() if key.islower() else key for key in given}
    yield from _unknown(name, settings_class, source, keys)


def _left_to_users(
    entry: ResourceDef, settings_class: type[Settings], source: str
) -> Iterator[Finding]:
    """Yield a finding for the settings that a job needs and the scheduler does not set."""
    there = settings_class.absent(entry.scheduler_environment)
    left = [
        declaration
        for field, declaration in settings_class.absent(entry.environment).items()
        if declaration.required or set(declaration.needed_by) - _OF_THE_SCHEDULER
        if entry.user_credentials or field not in there
    ]
    if not left:
        return
    if entry.user_credentials:
        severity, whom = "note", "user_credentials leaves to each user"
    else:
        severity, whom = "warning", "only the scheduler has, so that each job's user must set"
    # The form that a shell can set; of a dynamic entry the id that the job gets is not known here.
    prefix = "<id>_" if entry.is_dynamic else settings_class.prefixes(entry.name)[-1]
    variables = ", ".join(f"{prefix * one.prefixed}{one.names[0]}" for one in left)
    yield Finding(source, entry.name, severity, f"{whom} {variables}")


def check_environment(name: str, kind: str, all_names: Iterable[str]) -> Iterator[Finding]:
    """Yield the problems of a resource's settings in the environment.

    Args:
        name: The id of the resource.
        kind: The type of the resource.
        all_names: The ids of all resources whose settings may be in the environment.
    """
    source = "environment"
    settings_class = yield from _settings_class(name, kind, source)
    if settings_class is None:
        return
    yield from _unusable(name, source, lambda: settings_class.from_environment(name))
    ours = settings_class.prefixes(name)
    others = tuple(
        prefix
        for other in all_names
        for prefix in settings_class.prefixes(other)
        if prefix.startswith(ours) and prefix not in ours
    )
    keys = {
        key: key.removeprefix(prefix)
        for prefix in ours
        for key in os.environ
        if key.startswith(prefix) and not key.startswith(others)
    }
    yield from _unknown(name, settings_class, source, keys)


def _settings_class(
    name: str, kind: str, source: str
) -> Generator[Finding, None, type[Settings] | None]:
    try:
        return find_driver(kind).settings_class
    except QrmiError as error:
        yield Finding(source, name, "error", error.message)
        return None


def _unusable(name: str, source: str, read: Callable[[], Settings]) -> Iterator[Finding]:
    """Yield the malformed and the missing values."""
    try:
        settings = read()
    except ConfigError as error:
        yield Finding(source, name, "error", error.message)
        return
    for field, declaration in settings.declarations().items():
        if declaration.needed_by and getattr(settings, field) is None:
            operations = ", ".join(declaration.needed_by)
            message = f"{declaration.names[0]} is not set, which {operations} needs"
            yield Finding(source, name, "warning", message)


def _unknown(
    name: str, settings_class: type[Settings], source: str, keys: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield a finding for each key that is not one of the driver's.

    Args:
        name: The id of the resource.
        settings_class: The settings of the driver.
        source: The place of the keys.
        keys: Every key that is set, as it is written, and without the prefix.
    """
    known = settings_class.known_keys()
    for key, bare in keys.items():
        if bare not in known:
            close = difflib.get_close_matches(bare, known, n=1, cutoff=0.8)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield Finding(source, name, "error", f"unknown key {key}{hint}")
