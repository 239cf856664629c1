"""Scripts that use the published clients, run in the environment that has them."""

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
    """Run a client script, and return the JSON that it prints at the end.

    Args:
        python: The environment's interpreter.
        script: Name of the script.
        arguments: Arguments of the script.
        home: Home folder of the process.
        environment: Additional environment variables.
    """
    own = {"HOME": str(home), "PATH": "/usr/bin:/bin", **environment}
    output = said(python, CLIENTS / script, *arguments, env=own, cwd=home)
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
