"""What a value must be: how a message says it, and the value to send."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from qrmi_core.errors import InvalidArgumentError


@attrs.frozen
class Check:
    """What a value must be.

    Args:
        form: How a message and the README say it.
        read: Gives the value to send; raises ValueError or TypeError for a wrong one.
    """

    form: str
    read: Callable[[Any], Any]

    def __call__(self, what: str, value: object) -> Any:
        """The value to send.

        Raises:
            InvalidArgumentError: It is wrong.
        """
        try:
            return self.read(value)
        except (TypeError, ValueError, OverflowError):
            raise InvalidArgumentError(f"{what} must be {self.form}, not {value!r:.80}") from None


def require(good: bool) -> None:
    """Refuse a value, in `Check.read`."""
    if not good:
        raise ValueError


def values_of(value: Any) -> list[Any]:
    """The values of a list or of something like it, text not being one."""
    require(not isinstance(value, str | bytes | Mapping))
    return list(value)


def _read_flag(value: Any) -> bool:
    # Of numpy too, whose class has another name in numpy 1.
    require(type(value).__name__ in ("bool", "bool_"))
    return bool(value)


def _read_text(value: Any) -> str:
    require(isinstance(value, str))
    return str(value)


FLAG = Check("True or False", _read_flag)
TEXT = Check("text", _read_text)


def whole(least: int, most: int | None = None) -> Check:
    """A whole number; numpy's are taken too, booleans are not."""

    def read(value: Any) -> int:
        require(not isinstance(value, bool))
        number = operator.index(value)
        require(number >= least and (most is None or number <= most))
        return number

    if most is None:
        return Check(f"a whole number of at least {least}", read)
    return Check(f"a whole number from {least} to {most}", read)


def real(least: float, *, above: bool = False) -> Check:
    """A finite number of at least this, or above it."""

    def read(value: Any) -> float:
        require(not isinstance(value, bool | str | bytes))
        number = float(value)
        require(math.isfinite(number) and (number > least if above else number >= least))
        return number

    return Check(f"a finite number {'above' if above else 'of at least'} {least:g}", read)


def word(*words: str) -> Check:
    """One of some words."""

    def read(value: Any) -> str:
        require(isinstance(value, str) and value in words)
        return str(value)

    return Check(" or ".join(f'"{word}"' for word in words), read)


def either(*checks: Check) -> Check:
    """Whatever the first of some checks takes."""

    def read(value: Any) -> Any:
        for check in checks:
            try:
                return check.read(value)
            except (TypeError, ValueError):
                pass
        raise ValueError

    return Check(" or ".join(check.form for check in checks), read)


def several(item: Check, form: str) -> Check:
    """A list of at least one such value."""

    def read(value: Any) -> list[Any]:
        values = [item.read(each) for each in values_of(value)]
        require(bool(values))
        return values

    return Check(form, read)
