"""Checks of option values, with the wording of their error messages."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from qrmi_core import InvalidArgumentError


@attrs.frozen
class Check:
    """A check of a value.

    Args:
        form: The requirement, as messages and the README word it.
        read: Return the value to send; raise ValueError or TypeError for a wrong one.
    """

    form: str
    read: Callable[[Any], Any]

    def __call__(self, what: str, value: object) -> Any:
        """Return the value to send.

        Raises:
            InvalidArgumentError: The value is wrong.
        """
        try:
            return self.read(value)
        except (TypeError, ValueError, OverflowError):
            raise InvalidArgumentError(f"{what} must be {self.form}, not {value!r:.80}") from None


def require(good: bool) -> None:
    """Raise ValueError, in `Check.read`, if a value is wrong."""
    if not good:
        raise ValueError


def values_of(value: Any) -> list[Any]:
    """Return the values of a list or another sequence, but not of text."""
    require(not isinstance(value, str | bytes | Mapping))
    return list(value)


def _read_flag(value: Any) -> bool:
    # NumPy scalars too; NumPy 1 has another name for the class of booleans.
    require(type(value).__name__ in ("bool", "bool_"))
    return bool(value)


def _read_text(value: Any) -> str:
    require(isinstance(value, str))
    return str(value)


FLAG = Check("True or False", _read_flag)
TEXT = Check("text", _read_text)


def whole(least: int, most: int | None = None) -> Check:
    """Return a check for integers, NumPy's included, but not booleans."""

    def read(value: Any) -> int:
        require(not isinstance(value, bool))
        number = operator.index(value)
        require(number >= least and (most is None or number <= most))
        return number

    if most is None:
        return Check(f"a whole number of at least {least}", read)
    return Check(f"a whole number from {least} to {most}", read)


def real(least: float, *, above: bool = False) -> Check:
    """Return a check for finite numbers with a lower limit, exclusive if `above` is True."""

    def read(value: Any) -> float:
        require(not isinstance(value, bool | str | bytes))
        number = float(value)
        require(math.isfinite(number) and (number > least if above else number >= least))
        return number

    return Check(f"a finite number {'above' if above else 'of at least'} {least:g}", read)


def word(*words: str) -> Check:
    """Return a check for one of several words."""

    def read(value: Any) -> str:
        require(isinstance(value, str) and value in words)
        return str(value)

    return Check(" or ".join(f'"{word}"' for word in words), read)


def either(*checks: Check) -> Check:
    """Return a check that accepts a value if one of several checks does."""

    def read(value: Any) -> Any:
        for check in checks:
            try:
                return check.read(value)
            except (TypeError, ValueError):
                pass
        raise ValueError

    return Check(" or ".join(check.form for check in checks), read)


def several(item: Check, form: str) -> Check:
    """Return a check for lists of at least one value, each checked."""

    def read(value: Any) -> list[Any]:
        values = [item.read(each) for each in values_of(value)]
        require(bool(values))
        return values

    return Check(form, read)
