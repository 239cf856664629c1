"""What a job gets to see: written by the prolog, printed by the task prolog.

``STATE/JOBID`` is a link to the folder of the job's newest restart, which users may pass but not
list, and ``variables.json`` in it belongs to the job's user.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as type checkers know it; importing typing takes longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "variables.json"

Setting = dict[str, list[str] | str]
"""``value``, the ``names`` to export it by, ``unless``: names that count in its place if the user
has set one, and of a secret ``file``, see `keys`."""


def content(
    error: str | None = None,
    own: Mapping[str, str] | None = None,
    settings: list[Setting] | None = None,
) -> bytes:
    """The text of the file.

    Args:
        error: Why the job has no QPU, None if it has.
        own: The scheduler's own variables.
        settings: Of the resources; the user's own come first.
    """
    import json

    return json.dumps({"error": error, "own": own or {}, "settings": settings or []}).encode()


def read(state: str, job_id: str) -> dict[str, object] | None:
    """What the prolog wrote for a job, None where it acted for none of its QPUs.

    Raises:
        OSError: The prolog began, and what it wrote cannot be read.
        ValueError: It is not what the prolog writes.
    """
    folder = os.path.join(state, job_id)
    try:
        with open(os.path.join(folder, FILE), "rb") as stream:
            content = stream.read()
    except OSError:
        # Without a link there is no record, or no way to the folder of all records.
        if os.path.lexists(folder):
            raise
        return None
    import json  # no task of a job without a QPU waits for it

    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def lines(
    found: Mapping[str, object], environment: Mapping[str, str], keys: str | None = None
) -> list[str]:
    """What Slurm takes from a task prolog: ``export NAME=value``, a line each.

    Args:
        found: What `read` gave.
        environment: The task's. Of another job's, which somebody submitted this one in, the
            settings are not the user's own.
        keys: The folder with the job's secrets; None to print them as they are.
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
                continue  # the SPANK plugin is there too, and sets it
        exported += [f"export {name}{ending}={value}" for name in setting["names"]]
    return exported
