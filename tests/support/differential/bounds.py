"""Statistical bounds for sampled results, with a false alarm at most once in 1e9 comparisons.

All bounds are quantiles of the exact binomial distribution with a Bonferroni correction for the
events of one comparison, so they hold for every circuit and any number of shots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from scipy import stats

FALSE_ALARMS: Final = 1e-9
"""Rate of false alarms of one comparison."""

ROUNDING: Final = 1e-16
"""Error of a computed probability. A single count of a less likely outcome is an alarm."""


def improbable(expected: Any, found: Any, margin: float = ROUNDING) -> str | None:
    """Return the reason why counts cannot come from a distribution, or None if they can.

    Each outcome is checked, and so is the parity of each set of bits, in which small errors of many
    outcomes add up.

    Args:
        expected: Probabilities, by outcome as an integer.
        found: Counts, by outcome as an integer.
        margin: Error of a computed probability.
    """
    expected, found = np.asarray(expected, dtype=float), np.asarray(found)
    outcomes = np.arange(len(expected))
    # Entry (n, k) is 1 if outcome k has an odd number of the bits in n. Row 0 checks the total.
    odd = np.bitwise_count(outcomes[1:, None] & outcomes) % 2
    events = np.vstack([np.eye(len(expected)), odd])
    chances, counts, shots = events @ expected, events @ found, found.sum()
    low, high = np.clip(chances - margin, 0, 1), np.clip(chances + margin, 0, 1)
    tails = np.minimum(stats.binom.cdf(counts, shots, low), stats.binom.sf(counts - 1, shots, high))
    worst = int(np.argmin(tails))
    if tails[worst] >= FALSE_ALARMS / (2 * len(events)):
        return None
    width = len(expected).bit_length() - 1
    kind, number = "outcome", worst
    if worst >= len(expected):
        kind, number = "odd parity of bits", worst - len(expected) + 1
    return (
        f"{kind} {number:0{width}b} in {counts[worst]:g} of {shots} shots, expected "
        f"{chances[worst] * shots:.6g}, which has a probability of {tails[worst]:.2g}"
    )


def interval(terms: Mapping[Any, tuple[float, float]], shots: int) -> tuple[float, float]:
    """Return the bounds of a sum of means, each estimated from shots with outcomes +1 and -1.

    Args:
        terms: Coefficient and expected mean of each.
        shots: Shots of each; the terms may share them.
    """
    tail = FALSE_ALARMS / (2 * max(len(terms), 1))
    bounds = []
    for factor, mean in terms.values():
        chance = min(max((1 + mean) / 2, 0.0), 1.0)
        low = stats.binom.ppf(tail, shots, max(chance - ROUNDING, 0))
        high = stats.binom.isf(tail, shots, min(chance + ROUNDING, 1))
        bounds.append(sorted(factor * (2 * count / shots - 1) for count in (low, high)))
    return math.fsum(low for low, _ in bounds), math.fsum(high for _, high in bounds)


def gaussian(mean: float, deviation: float) -> tuple[float, float]:
    """Return the bounds of a value with a Gaussian error."""
    reach = stats.norm.isf(FALSE_ALARMS / 2) * deviation
    return mean - reach, mean + reach
