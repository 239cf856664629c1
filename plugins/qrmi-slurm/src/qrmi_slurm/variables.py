"""The variables of a job, written by the prolog and printed by the task prolog.

``STATE/JOBID`` is a link to the folder of the job's latest run. Users may enter this folder but not
list it; ``variables.json`` in it belongs to the job's user.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # for type checkers; importing typing takes longer than everything else here
if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "variables.json"

Setting = dict[str, list[str] | str]
"""``value``, the ``names`` to export it by, ``unless``: names that replace it if the user has set
one, and for a secret ``file``, see `keys`."""


def content(
    error: str | None = None,
    own: Mapping[str, str] | None = None,
    settings: list[Setting] | None = None,
) -> bytes:
    """Return the content of the file.

    Args:
        error: The reason why the job has no QPU, or None.
        own: The scheduler's own variables.
        settings: The settings of the resources; the user's own settings replace them.
    """
    import json

    return json.dumps({"error": error, "own": own or {}, "settings": settings or []}).encode()


def read(state: str, job_id: str) -> dict[str, object] | None:
    """Read the file that the prolog wrote for a job; return None for a job without a record.

    Raises:
        OSError: The prolog has started, but the file cannot be read.
        ValueError: The content was not written by a prolog.
    """
    folder = os.path.join(state, job_id)
    try:
        with open(os.path.join(folder, FILE), "rb") as stream:
            content = stream.read()
    except OSError:
        # Without a link, there is no record, or the folder of all records is inaccessible.
        if os.path.lexists(folder):
            raise
        return None
    import json  # tasks of a job without a QPU do not wait for it

    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("it is not an object")
    return found


def lines(
    found: Mapping[str, object], environment: Mapping[str, str], keys: str | None = None
) -> list[str]:
    """Return the lines for Slurm, ``export NAME=value`` for each variable.

    Args:
        found: The result of `read`.
        environment: The task's environment. Variables of another job that submitted this one are
            not treated as the user's own.
        keys: The folder with the job's secrets; None to print the secrets themselves.
    """
    own: dict[str, str] = found["own"]  # type: ignore[assignment]
    settings: list[Setting] = found["settings"]  # type: ignore[assignment]
    inherited = environment.get("QRMI_JOB_ID", own["QRMI_JOB_ID"]) != own["QRMI_JOB_ID"]
    exported = [f"export {name}={value}" for name, value in own.items()]
    for setting in settings:
        if inherited:
            exported += [f"unset {name}" for name in setting["unless"] if name in environment]
        elif any(environment.get(name) for name in setting["unless"]):
            continue
        value, ending = setting["value"], ""
        if keys is not None and "file" in setting:
            value, ending = f"{keys}/{setting['file']}", "_FILE"
            if not os.path.exists(value):
                continue  # the SPANK plugin is installed too, and sets it
        exported += [f"export {name}{ending}={value}" for name in setting["names"]]
    return exported
