"""One process of a scheduler or job: switch to a user, run one operation, print its outcome."""

from __future__ import annotations

import importlib
import json
import os
import sys

from qrmi_core import QrmiError, QuantumResource
from qrmi_core.payload import PasqalCloud


def main(uid: int, what: str, *arguments: str) -> None:
    qpu = QuantumResource("PASQAL_LOCAL", "pasqal-local")
    # Import now whatever is imported on first use, since another user may not read these folders.
    qpu.is_accessible()
    for name in ("tenacity", "qrmi_core.submission", "qrmi_core.task"):
        importlib.import_module(name)
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    try:
        match what:
            case "start":
                done: object = qpu.task_start(PasqalCloud({"name": arguments[0]}, 10))
            case "result":
                done = qpu.task_result(arguments[0], timeout=30).value
            case _:
                done = getattr(qpu, what)(*arguments)
    except QrmiError as error:
        done = f"{type(error).__name__}: {error}"
    print(json.dumps(str(done)))


main(int(sys.argv[1]), *sys.argv[2:])
