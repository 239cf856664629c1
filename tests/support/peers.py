"""Runs scripts with the published clients, in the environment that has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from support.processes import said

CLIENTS = Path(__file__).parents[1] / "plugins" / "qrmi-emulator" / "clients"


def run(
    python: Path,
    script: str,
    *arguments: object,
    home: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """What a script of a client's prints in the end, as JSON.

    Args:
        python: That of the environment.
        script: Its name.
        arguments: Its arguments.
        home: Its home folder.
        environment: Further variables.
    """
    own = {"HOME": str(home), "PATH": "/usr/bin:/bin", **environment}
    output = said(python, CLIENTS / script, *arguments, env=own, cwd=home)
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
