"""Measure large documents on Pasqal Cloud: seconds and memory.

Each operation has a process, whose peak of memory is measured.
"""

from __future__ import annotations

from common import CLIENT, Goal, Row, figures, in_turns, main, pythons
from mocks import running
from mocks.pasqal import Pasqal, ended_batch

RUNS = 5
MEASUREMENTS = (("result", 10), ("result", 100), ("start", 50))
PROGRAM = f"""{CLIENT}
qpu = resource()
what, megabytes, batch = arguments[0], int(arguments[1]), arguments[2]
qpu.task_status(batch)  # the token, and what is imported once
if what == "start":
    if side == "ours":
        from qrmi_core import Payload
    else:
        from qrmi import Payload
    text = '{{"version": "1", "pad": [%s""]}}' % ('"01234567890", ' * (megabytes * 10**6 // 15))
    payload = Payload.PasqalCloud(sequence=text, job_runs=100)
start = time.perf_counter()
if what == "start":
    qpu.task_start(payload)
else:
    assert len(qpu.task_result(batch).value) > megabytes * 0.9e6
seconds = time.perf_counter() - start
# Not that of getrusage, which includes the process that started this one.
status = open("/proc/self/status").read()
peak = int(status.partition("VmHWM:")[2].split()[0]) / 1000
print(json.dumps({{"s": seconds, "MB": peak}}))
"""


def rows(quick: bool) -> list[Row]:
    """Measure both sides in turns."""

    def measure(key: tuple[str, int, str]) -> dict[str, float]:
        what, megabytes, side = key
        batch = ended_batch(megabytes)
        return figures(side, PROGRAM, account, what, str(megabytes), batch)

    table = []
    keys = [(*each, side) for each in MEASUREMENTS for side in pythons()]
    with running(Pasqal) as account:
        found = in_turns(keys, measure, 1 if quick else RUNS)
    for what, megabytes in MEASUREMENTS:
        medians = {side: found[what, megabytes, side] for side in pythons()}
        name = f"Pasqal: {what} of {megabytes} MB"
        table.append(Row.of(name, "s", medians, goal=Goal(1, "published")))
        table.append(Row.of(f"{name}, memory", "MB", medians, goal=Goal(1, "published")))
    return table


if __name__ == "__main__":
    main(rows, __doc__)
