"""Generated circuits and pulse sequences, computed here and executed by the project.

`circuits` and `pulses` generate, `reference` and `rydberg` compute without Aer and without Pulser's
simulator, `machines` executes, and `bounds` decides if what was found can be chance.
"""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, settings

LONG = os.environ.get("QRMI_TEST_DIFFERENTIAL") == "long"

COMPARED: Counter[str] = Counter()
"""What was compared in this process, by kind."""


def generated(short: int, long: int) -> settings:
    """Return the settings of a test of generated examples.

    Args:
        short: How many in `make test`, the same ones every time.
        long: How many in `make test-differential`.
    """
    return settings(
        max_examples=long if LONG else short,
        derandomize=not LONG,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,  # of what cannot be compiled for a device
        ],
    )
