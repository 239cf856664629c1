"""Jobs of several nodes, where each has a folder of records of its own; and both ways at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from support import job_cases
from support.real_site import Site, side_by_side, started

CASES = [
    job_cases.one_qpu,
    job_cases.two_qpus,
    job_cases.two_nodes_share_one_acquisition,
    job_cases.a_heterogeneous_job,
    job_cases.cancelled_while_it_runs,
    job_cases.of_two_qpus_one_is_not_to_be_had,
]


@pytest.fixture(scope="module", params=["scripts", "shim", "both"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with started(request.param, own_state=True) as site:
        yield site


@pytest.fixture(scope="module")
def outcomes(site: Site) -> Iterator[dict[job_cases.Case, Future[None]]]:
    """All cases, side by side."""
    with side_by_side(site, CASES) as outcomes:
        yield outcomes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test(case: job_cases.Case, outcomes: dict[job_cases.Case, Future[None]]) -> None:
    outcomes[case].result()
