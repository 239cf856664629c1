"""The site shared by the tests on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.real_site import Site, started
from support.side_by_side import pytest_pyfunc_call, side_by_side

__all__ = ["pytest_pyfunc_call", "site"]


@pytest.fixture(scope="module", params=["scripts", "shim"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Run a site of two nodes in the mode that the parameter names.

    With `-own-records` each node keeps its records in a separate folder, like a separate host.
    """
    mode, _, own_records = request.param.partition("-")
    with started(mode, own_state=bool(own_records)) as site, side_by_side(request, site):
        yield site
