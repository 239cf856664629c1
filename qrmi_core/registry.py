"""Finding drivers: entry points, listed without importing and loaded one at a time."""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import math
import os
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import FunctionType
from typing import Any

import attrs

from qrmi_core._imports import broken_dependency
from qrmi_core.driver import CONTRACT, CONTRACT_VERSION, Driver
from qrmi_core.errors import PluginError, QrmiError, UnsupportedResourceTypeError
from qrmi_core.options import TaskOptions
from qrmi_core.payload import Payload
from qrmi_core.settings import Settings
from qrmi_core.values import Value

DRIVERS = "qrmi.drivers"
COMMANDS = "qrmi.commands"
READERS = "qrmi.readers"
GROUPS = {
    "driver": DRIVERS,
    "command": COMMANDS,
    "reader": READERS,
    "qiskit": "qrmi.qiskit",
    "face": "qrmi.emulator.faces",
}
"""Every group of entry points that names an object, by the word for its plugins."""
CONFLICTS = "qrmi.conflicts"
"""The group in which a distribution names others that install files of the same names."""

DISTRIBUTIONS = {
    "local": "qrmi-local[all]",
    "direct-access": "qrmi-ibm-da",
    "ibm-quantum-system": "qrmi-ibm-da",
    "qiskit-runtime-service": "qrmi-ibm-runtime",
    "ibm-quantum-compute-service": "qrmi-ibm-runtime",
    "pasqal-cloud": "qrmi-pasqal",
    "pasqal-local": "qrmi-pasqal",
}
"""The distribution to install for a resource type, for the message when it is missing."""

_REPORT = "please report this to the authors of the plugin"


@attrs.frozen(eq=False, repr=False)
class PluginInfo(Value):
    """One entry point of the installed metadata.

    Args:
        name: The name: for a driver, the resource type.
        target: ``module:attribute``.
        distribution: The distribution that contains it.
        version: That distribution's version.
    """

    name: str
    target: str
    distribution: str
    version: str


def installed(group: str = DRIVERS, name: str | None = None) -> list[PluginInfo]:
    """List the plugins of a group, sorted by name, without importing any.

    Args:
        group: The entry points' group.
        name: The name of those to list; None for all, which takes longer.
    """
    return [*_installed(group, name, tuple((folder, _changed(folder)) for folder in sys.path))]


@lru_cache
def _installed(group: str, name: str | None, _folders: object) -> list[PluginInfo]:
    """Read the entry points, again whenever the folders of `sys.path` have changed."""
    infos: set[PluginInfo] = set()
    for distribution in importlib.metadata.distributions():
        # Reading the entry points of all takes several times as long.
        if f"[{group}]" not in (distribution.read_text("entry_points.txt") or ""):
            continue
        if name in (None, *distribution.entry_points.select(group=group).names):
            owner = distribution.metadata.get_all("Name", ["unknown"])[0]
            first = distribution
            # Of several copies Python imports the first.
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                first = importlib.metadata.distribution(owner)
            for entry in first.entry_points.select(group=group):
                if name in (None, entry.name):
                    infos.add(PluginInfo(entry.name, entry.value, owner, first.version))
    return sorted(infos, key=lambda info: (info.name, info.distribution, info.target))


def _changed(folder: str) -> int:
    """Return the time at which a distribution was last added to a folder or removed."""
    try:
        return os.stat(folder or os.curdir).st_mtime_ns
    except OSError:
        return 0


def conflict(distribution: str, other: str) -> str | None:
    """Return a message if two distributions that replace each other's files are installed.

    Both are in the metadata, whichever was installed last and has its files in place.
    """
    try:
        found = [f"{name} {importlib.metadata.version(name)}" for name in (other, distribution)]
    except importlib.metadata.PackageNotFoundError:
        return None
    return (
        f"{' and '.join(found)} are both installed, and each has replaced files of the other; "
        f"keep one: pip uninstall {other} {distribution}, "
        f"then pip install {distribution} (or {other})"
    )


def conflicts() -> list[str]:
    """Return a message for each installed conflict that a distribution declares."""
    found = (conflict(info.distribution, info.name) for info in installed(CONFLICTS))
    return [message for message in found if message]


def load(name: str, group: str) -> Callable[..., Any]:
    """Import the one plugin of a name and return its class or function.

    Args:
        name: The entry point's name.
        group: The entry point's group.

    Raises:
        UnsupportedResourceTypeError: No plugin has this name.
        PluginError: It cannot be imported or called, or the name is claimed more than once.
    """
    return import_plugin(_claim(name, group), group)


def _claim(name: str, group: str) -> PluginInfo:
    claims = installed(group, name)
    if not claims:
        names = dict.fromkeys(info.name for info in installed(group))
        advice = f"; pip install {DISTRIBUTIONS[name]}" if name in DISTRIBUTIONS else ""
        raise UnsupportedResourceTypeError(
            f"no plugin for resource type {str(name)!r} is installed{advice}"
            f" (installed: {', '.join(names) or 'none'})"
        )
    if len({info.distribution for info in claims}) > 1:
        raise PluginError(
            f"{name} is claimed by several distributions: "
            + ", ".join(f"{info.distribution} {info.version} ({info.target})" for info in claims)
            + "; uninstall all but one"
        )
    (info, *others) = claims
    if others:
        raise PluginError(
            f"{info.distribution} {info.version} claims {name} more than once: "
            f"{', '.join(info.target for info in claims)}; {_REPORT}"
        )
    return info


def import_plugin(info: PluginInfo, group: str) -> Callable[..., Any]:
    """Import one of the `installed` plugins and return its class or function.

    Raises:
        PluginError: It cannot be imported or called; the message names it and the cause.
    """
    if not importlib.metadata.EntryPoint.pattern.match(info.target):
        raise PluginError(
            f"{_title(info)} cannot be used: its entry point is not module:attribute; {_REPORT}"
        )
    from stevedore import NamedExtensionManager

    # Else stevedore reads a cache in the user's home folder, which there may not be, or writes it.
    # Each plugin has a namespace of its own, so that threads may load several at once.
    namespace = f"{group} of {info.distribution}: {info.name}"
    NamedExtensionManager.ENTRY_POINT_CACHE[namespace] = [
        importlib.metadata.EntryPoint(info.name, info.target, group)
    ]

    def fail(_manager: object, _entry: object, error: BaseException) -> None:
        raise error

    try:
        manager: NamedExtensionManager[Any] = NamedExtensionManager(
            namespace, names=[info.name], on_load_failure_callback=fail
        )
    except (KeyboardInterrupt, GeneratorExit):
        raise
    # A plugin that exits or fails an assertion at import is no reason to exit or fail, and some
    # vendors' errors derive from BaseException.
    except BaseException as error:
        raise _broken(info, error) from error
    plugin: object = manager[info.name].plugin
    if not callable(plugin):
        kind = type(plugin).__name__
        raise PluginError(f"{_title(info)} is not a class or a function but {kind}; {_REPORT}")
    return plugin


def find_driver(resource_type: str) -> type[Driver[Any, Any]]:
    """Return the driver class of a resource type.

    Raises:
        UnsupportedResourceTypeError: No installed driver has this type.
        PluginError: The driver cannot be used; the message names it and the cause.
    """
    return _driver(resource_type, _wrong_attributes)


def _driver(
    resource_type: str, defects: Callable[[type[Driver[Any, Any]]], Iterator[str]]
) -> type[Driver[Any, Any]]:
    info = _claim(resource_type, DRIVERS)
    driver = import_plugin(info, DRIVERS)
    if not (isinstance(driver, type) and issubclass(driver, Driver)):
        raise PluginError(f"{_title(info)} is not a Driver class but {driver!r}; {_REPORT}")
    if found := "; ".join(defects(driver)):
        raise PluginError(f"{_title(info)} breaks the driver contract: {found}; {_REPORT}")
    return driver


def check(info: PluginInfo, group: str = DRIVERS) -> QrmiError | None:
    """Import one plugin and return its problem, or None."""
    try:
        if group == DRIVERS:
            _driver(info.name, defects)
        else:
            import_plugin(info, group)
    except QrmiError as error:
        return error
    return None


def defects(driver: type[Driver[Any, Any]]) -> Iterator[str]:
    """Yield the differences of a driver class to the contract, without contacting a vendor."""
    yield from _wrong_attributes(driver)
    for home in CONTRACT:
        if issubclass(driver, home):
            yield from _wrong_signatures(driver, home)


def _wrong_attributes(driver: type[Driver[Any, Any]]) -> Iterator[str]:
    version = getattr(driver, "contract_version", None)
    if version != CONTRACT_VERSION:
        yield (
            f"it declares version {version} of it (contract_version), and this qrmi-core has "
            f"version {CONTRACT_VERSION}, so install releases of both that fit"
        )
    if missing := sorted(getattr(driver, "__abstractmethods__", ())):
        yield f"it does not implement {', '.join(missing)}"
    settings: object = driver.settings_class
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        yield f"settings_class is not a subclass of Settings but {settings!r}"
    payloads: object = driver.payloads
    if not isinstance(payloads, tuple) or not all(
        isinstance(kind, type) and issubclass(kind, Payload) for kind in payloads
    ):
        yield f"payloads is not a tuple of Payload classes but {payloads!r}"
    options = {field.name for field in attrs.fields(TaskOptions)}
    if not isinstance(driver.task_options, frozenset) or driver.task_options - options:
        yield f"task_options is not a frozenset of {', '.join(sorted(options))}"
    pause: object = driver.min_pause_seconds
    if not isinstance(pause, int | float) or not 0.001 <= pause < math.inf:
        yield f"min_pause_seconds is not a number of at least 0.001 but {pause!r}"


def _wrong_signatures(driver: type, home: type) -> Iterator[str]:
    for name, declared in vars(home).items():
        if not isinstance(declared, FunctionType | classmethod):
            continue
        method = inspect.getattr_static(driver, name)
        if not callable(getattr(driver, name)) or (
            isinstance(declared, classmethod) and not isinstance(method, classmethod)
        ):
            yield f"{name} is not a {'class ' * isinstance(declared, classmethod)}method"
            continue
        expected = inspect.signature(getattr(home, name)).parameters.values()
        by_name = {one.name: None for one in expected if one.kind is one.KEYWORD_ONLY}
        by_place = [None for one in expected if one.kind is not one.KEYWORD_ONLY]
        try:
            inspect.signature(getattr(driver, name)).bind(*by_place, **by_name)
        except (TypeError, ValueError) as error:
            yield f"{name} cannot be called as the contract says: {error}"


def _title(info: PluginInfo) -> str:
    return f"plugin {info.name} ({info.target} of {info.distribution} {info.version})"


def _broken(info: PluginInfo, error: BaseException) -> PluginError:
    module = info.target.partition(":")[0].strip()
    match error:
        case ModuleNotFoundError(name=str(missing)) if f"{module}.".startswith(f"{missing}."):
            cause = (
                f"its module {missing} is missing; "
                f"pip install --force-reinstall {info.distribution}"
            )
        case ModuleNotFoundError(name=str(missing)) if missing.partition(".")[0] not in sys.modules:
            cause = f"its dependency {missing} is not installed; pip install {info.distribution}"
        case SystemExit():
            cause = f"it exits on import (status {error.code})"
        case _:
            cause = f"importing it raises {type(error).__name__}: {error}".rstrip(": ")
            if (broken := broken_dependency(error)) and f"module {module} " not in broken:
                cause = broken
    return PluginError(f"{_title(info)} cannot be used: {' '.join(cause.split())}")
