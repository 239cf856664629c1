"""The payload that the service runs."""

from __future__ import annotations

import attrs

from qrmi_core.plugin import InvalidInputError, Payload


def _at_least_one(_payload: object, _field: object, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError(f"`shots` must be a whole number of at least 1, not {value!r}")


@attrs.frozen
class Coin(Payload):
    """A program for a coin.

    Args:
        program: ``flip N`` for N coins, for example ``flip 2``.
        shots: Number of runs, at least 1.
    """

    program: str = attrs.field(validator=attrs.validators.instance_of(str))
    shots: int = attrs.field(validator=_at_least_one)
