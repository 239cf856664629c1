"""Whatever happens to a job, its QPUs are released exactly once, and no node is drained."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from slurm_cases import CASES, Case
from slurm_site import Site, started

_SIDE_BY_SIDE = 10
pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module", params=["scripts", "shim"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with started(request.param) as site:
        yield site


@pytest.fixture(scope="module")
def outcomes(site: Site) -> Iterator[dict[Case, Future[None]]]:
    """All cases, side by side."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        yield {case: pool.submit(case, site) for case in CASES}


@pytest.fixture
def alone(outcomes: dict[Case, Future[None]]) -> None:
    """The cases have ended."""
    wait(outcomes.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test(case: Case, outcomes: dict[Case, Future[None]]) -> None:
    outcomes[case].result()
