"""Runs scripts with the published clients, in the environment that has them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

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
    done = subprocess.run(
        [python, CLIENTS / script, *map(str, arguments)],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", **environment},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
