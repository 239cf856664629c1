"""Generated circuits and pulse sequences, compared with independent computations.

`circuits` and `pulses` generate programs, and `machines` executes them. `reference` and `rydberg`
compute the expected distributions without Aer and without Pulser's simulator. `bounds` decides
whether a difference can be chance.
"""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, settings

LONG = os.environ.get("QRMI_TEST_DIFFERENTIAL") == "long"

COMPARED: Counter[str] = Counter()
"""Number of comparisons in this process, by kind."""


def generated(short: int, long: int) -> settings:
    """Return the settings of a test of generated examples.

    Args:
        short: Number in `make test`, which runs the same examples every time.
        long: Number in `make test-differential`.
    """
    return settings(
        max_examples=long if LONG else short,
        derandomize=not LONG,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,  # circuits that cannot be compiled for the device
        ],
    )
