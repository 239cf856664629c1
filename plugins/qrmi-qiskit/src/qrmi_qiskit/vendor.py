"""The parts of qiskit-ibm-runtime in use: encoder, decoder, device reader, option names.

Importing it takes over a second, so it is imported on first use. Names have moved between releases,
so their old locations are tried too.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from qrmi_core import PluginError

_PACKAGE: Final = "qiskit_ibm_runtime"
_HOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "RuntimeEncoder": ("", ".json", ".utils.json"),
    "RuntimeDecoder": ("", ".json", ".utils.json"),
    "convert_to_target": (".utils.backend_converter", ".backend_converter", ".utils"),
    "configuration_from_server_data": (".utils.backend_decoder", ".backend_decoder", ".utils"),
    "properties_from_server_data": (".utils.backend_decoder", ".backend_decoder", ".utils"),
    "BackendStatus": (".models", ".models.backend_status"),
}


@functools.cache
def find(name: str) -> Any:
    """Return a class or function of qiskit-ibm-runtime.

    Raises:
        PluginError: The installed release does not have it.
    """
    for home in _HOMES[name]:
        try:
            module = importlib.import_module(f"{_PACKAGE}{home}")
        except ModuleNotFoundError as error:
            # Distinguish a moved name from a missing package or dependency.
            if not str(error.name).startswith(f"{_PACKAGE}."):
                raise PluginError(
                    f"qrmi-qiskit needs {error.name}, which is not installed: "
                    "pip install --force-reinstall qrmi-qiskit"
                ) from error
            continue
        if hasattr(module, name):
            return getattr(module, name)
    release = importlib.metadata.version("qiskit-ibm-runtime")
    raise PluginError(
        f"qiskit-ibm-runtime {release} has no {name} where qrmi-qiskit looks for it: "
        "install another release of either"
    )


@functools.cache
def has_option(name: str) -> bool:
    """Return True if the installed qiskit-ibm-runtime has an option of a primitive.

    Args:
        name: The full name, such as `twirling.strategy`.
    """
    return any(_has(options, name.split(".")) for options in _options())


def _options() -> Iterator[Any]:
    """Yield the vendor's options of each primitive, in each available generation."""
    for home in ("options", "options_models.sampler", "options_models.estimator"):
        try:
            module = importlib.import_module(f"{_PACKAGE}.{home}")
        except ModuleNotFoundError:
            continue
        for kind in ("SamplerOptions", "EstimatorOptions"):
            if hasattr(module, kind):
                yield getattr(module, kind)()


def _has(options: Any, names: list[str]) -> bool:
    for name in names:
        # Both its dataclasses and its models keep only options there.
        if name not in getattr(options, "__dict__", {}):
            return False
        options = getattr(options, name)
    return True
