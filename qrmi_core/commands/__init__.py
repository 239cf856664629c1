"""Tools for commands: exit statuses, INPUT files, signals, and printing results.

`qrmi` is built on them, and so are commands of other distributions. Names are imported when they
are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qrmi_core.commands.exits import (
        DEFECT as DEFECT,
        describe as describe,
        one_line as one_line,
        status_of as status_of,
    )
    from qrmi_core.commands.inputs import (
        choose_payload as choose_payload,
        read_input as read_input,
    )
    from qrmi_core.commands.output import say as say, table as table
    from qrmi_core.commands.results import (
        SPOOL_BYTES as SPOOL_BYTES,
        print_result as print_result,
        save_result as save_result,
    )
    from qrmi_core.commands.signals import Signals as Signals

_HOMES = {
    "exits": "DEFECT describe one_line status_of",
    "inputs": "choose_payload read_input",
    "output": "say table",
    "results": "SPOOL_BYTES print_result save_result",
    "signals": "Signals",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

if not TYPE_CHECKING:
    __all__ = [*_HOME_OF]


def __getattr__(name: str) -> object:
    import importlib

    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
