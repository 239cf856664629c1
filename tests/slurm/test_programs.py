"""Programs in jobs get the right results, and each job opens and closes its session once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from support.cluster import Job, wait_for
from support.pulses import is_blockaded, sequence
from support.real_site import Site, token_of

pytestmark = pytest.mark.timeout(200)

PROGRAMS = Path(__file__).parent / "programs"


def _line(program: str, *arguments: str) -> str:
    return " ".join([sys.executable, str(PROGRAMS / program), *arguments])


@pytest.mark.side_by_side
def test_an_estimator(site: Site) -> None:
    job = site.cluster.submit(_line("estimator.py"), *site.ask("fake_fez"))
    site.assert_ended(job.wait(seconds=120), "COMPLETED")
    assert float(job.output.partition("value=")[2]) > 0.8
    [session] = site.assert_released("fake_fez")
    [line] = site.accounting(job.id)
    assert line["tasks"] == 1
    assert line["quantum_seconds"] is not None
    assert [job.session for job in site.jobs("fake_fez")] == [session]


@pytest.mark.side_by_side
def test_an_array_over_two_qpus(site: Site) -> None:
    names = ["fake_manila", "fake_quito"]
    tasks = []
    for number, name in enumerate(names):
        output = site.folder / "jobs" / f"array-{number}"
        job = site.cluster.submit(
            _line("flip.py", "$SLURM_ARRAY_TASK_ID"),
            f"--array={number}-9:2",
            f"--output={output}-%a",
            *site.ask(name),
        )
        tasks += [
            (name, index, Job(site.cluster, f"{job.id}_{index}", Path(f"{output}-{index}")))
            for index in range(number, 10, 2)
        ]
    wait_for(lambda: all(task.id in site.cluster.jobs() for *_, task in tasks), "ten tasks", 100)
    for name, index, task in tasks:
        site.assert_ended(task.wait(seconds=100), "COMPLETED")
        qpu, flips, ones = task.output.split()
        assert (qpu, flips) == (name, str(index))
        assert (int(ones) > 80) == bool(index % 2)
    sessions = site.assert_released(*names, times=5)
    assert sorted(job.session for job in site.jobs(*names)) == sorted(sessions)


@pytest.mark.side_by_side
def test_ranks_on_two_nodes_share_one_session(site: Site) -> None:
    job = site.cluster.submit(
        f"env\nsrun {_line('flip.py')}",
        *("--nodes=2", "--ntasks=4", "--ntasks-per-node=2"),
        *site.ask("fake_lima"),
    )
    site.assert_ended(job.wait(seconds=120), "COMPLETED")
    found = [line.split() for line in job.output.splitlines() if line.startswith("fake_lima ")]
    assert {(rank, int(ones) > 80) for _, rank, ones in found} == {
        ("0", False),
        ("1", True),
        ("2", False),
        ("3", True),
    }
    sessions = site.assert_released("fake_lima")
    assert sessions == [token_of("fake_lima", job.output)]
    assert [job.session for job in site.jobs("fake_lima")] == sessions * 4
    [line] = site.accounting(job.id)
    assert line["tasks"] == 4


@pytest.mark.side_by_side
def test_pulses_behind_warden(site: Site) -> None:
    path = site.folder / "jobs" / "sequence.json"
    path.write_text(sequence())
    job = site.cluster.submit(f"env\n{_line('sequence.py', str(path))}", *site.ask("PASQAL_LOCAL"))
    site.assert_ended(job.wait(seconds=120), "COMPLETED")
    counts = json.loads(job.output.splitlines()[-1])
    assert sum(counts.values()) == 100
    assert is_blockaded(counts)
    [session] = site.sessions("PASQAL_LOCAL")
    assert session.id == token_of("PASQAL_LOCAL", job.output)
    assert session.closed is not None
    made = [x for x in site.vendor.requests() if x["path"].startswith("/warden/sessions")]
    assert [exchange["method"] for exchange in made] == ["POST", "DELETE"]


@pytest.mark.side_by_side
def test_direct_access(site: Site) -> None:
    job = site.cluster.submit(_line("flip.py", "1"), *site.ask("ibm_rensselaer"))
    site.assert_ended(job.wait(seconds=120), "COMPLETED")
    name, _, ones = job.output.split()
    assert name == "ibm_rensselaer"
    assert int(ones) > 80
