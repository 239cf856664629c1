"""Measure resource objects, targets and small requests, beside bare requests; no latency."""

from __future__ import annotations

from common import CLIENT, Goal, Row, figures, in_turns, main, pythons
from mocks import running
from mocks.runtime import CRN, TARGET_BYTES, Runtime

RUNS = 5
CALLS = 100
OBJECTS = 100
OBJECTS_GOAL_MS = 60.0
TARGET_GOAL_MS = 2.5
PROGRAM = f"""{CLIENT}
number = int(arguments[0])
def milliseconds(function, clock):
    function()
    start = clock()
    for _ in range(number):
        function()
    return 1000 * (clock() - start) / number

found = {{}}
if side == "bare":
    import requests
    session, url = requests.Session(), os.environ["{Runtime.resource_id}_QRMI_IBM_QCS_ENDPOINT"]
    session.headers.update({{"Authorization": "Bearer a", "Service-CRN": "{CRN}"}})
    job = {{"program_id": "sampler", "backend": name, "params": json.loads(primitive)}}
    start = lambda: session.post(f"{{url}}/jobs", json=job, timeout=5).json()["id"]
    task_id = start()
    status = lambda: session.get(
        f"{{url}}/jobs/{{task_id}}", params={{"exclude_params": "true"}}, timeout=5
    ).json()["status"]
    target = lambda: [
        session.get(f"{{url}}/backends/{{name}}/{{what}}", timeout=5).content
        for what in ("configuration", "properties")
    ]
else:
    qpu = resource()
    begin = time.perf_counter()
    objects = [resource() for _ in range({OBJECTS})]
    found["objects"] = 1000 * (time.perf_counter() - begin)
    if side == "ours":
        from qrmi_core import Payload
    else:
        from qrmi import Payload
    payload = Payload.QiskitPrimitive(input=primitive, program_id="sampler")
    start = lambda: qpu.task_start(payload)
    task_id = start()
    status = lambda: qpu.task_status(task_id)
    target = lambda: qpu.target().value
found["target"] = milliseconds(target, time.perf_counter)
found["status"] = milliseconds(status, time.process_time)
found["start"] = milliseconds(start, time.process_time)
print(json.dumps(found))
"""


def rows(quick: bool) -> list[Row]:
    """Run the clients in turns."""

    def measure(side: str) -> dict[str, float]:
        return figures(side, PROGRAM, account, str(5 if quick else CALLS))

    with running(Runtime, 0.0) as account:
        medians = in_turns([*pythons(), "bare"], measure, 1 if quick else RUNS)
    made = {side: found for side, found in medians.items() if side != "bare"}
    size = f"{TARGET_BYTES // 1000} kB"
    return [
        Row.of(
            f"{OBJECTS} resources after the first", "ms", made, "objects", Goal(OBJECTS_GOAL_MS)
        ),
        Row.of(f"target() of {size}", "ms", medians, "target", Goal(TARGET_GOAL_MS)),
        Row.of("CPU of a task_status", "ms", medians, "status"),
        Row.of("CPU of a task_start", "ms", medians, "start"),
    ]


if __name__ == "__main__":
    main(rows, __doc__)
