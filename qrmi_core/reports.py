"""Checks of the values that drivers return, by the annotations of the contract."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import attrs

from qrmi_core.driver import CONTRACT

_T = TypeVar("_T")

_IDS = frozenset({"task_start", "find_submission", "acquire", "batch_open"})
"""The methods that return an id or a token, which must not be empty."""
_ALONE = (bool, str, bytes)
"""Classes that fit no other annotation: a truth value is not a number, a text not a sequence."""


class WrongReturnError(TypeError):
    """A method of a driver returned a value that the contract does not allow."""


def checked(method: str, value: _T) -> _T:
    """Return a value that a driver returned, if its type is that of the contract.

    The items of an iterable are checked while it is read.

    Args:
        method: The name of the method.
        value: The returned value.

    Raises:
        WrongReturnError: The value or a part of it is of another type, or an id is empty.
    """
    kind = _return_type(method)
    if get_origin(kind) in (Iterable, Iterator):
        _check(method, value, Iterable)
        return cast(_T, _each(method, value, *get_args(kind)))
    _check(method, value, kind)
    if value == "" and method in _IDS:
        raise WrongReturnError(f"returned an empty text for {method}")
    return value


def _each(where: str, values: Any, kind: Any) -> Iterator[Any]:
    for value in values:
        _check(where, value, kind)
        yield value


def _check(where: str, value: Any, kind: Any) -> None:
    """Raise an error if a value, or a part of it, does not fit an annotation."""
    classes = _classes(kind)
    fitting = classes.get(type(value))
    if fitting is None:
        alone = tuple(each for each in _ALONE if isinstance(value, each))
        fits = (each for each in classes if isinstance(value, each))
        fitting = next((classes[each] for each in fits if not alone or each in alone), None)
    if fitting is None:
        found, *allowed = (each.__name__ for each in (type(value), *classes))
        message = f"returned {found} for {where}, where the contract has {' or '.join(allowed)}"
        raise WrongReturnError(message.replace("NoneType", "None"))
    for name, part in _fields(fitting).items():
        _check(f"{where}.{name}", getattr(value, name), part)
    if items := get_args(fitting):
        for item in value:
            _check(where, item, items[0])
        for item in value.values() if isinstance(value, Mapping) else ():
            _check(where, item, items[1])


@functools.cache
def _return_type(method: str) -> Any:
    (home,) = (home for home in CONTRACT if method in vars(home))
    return get_type_hints(getattr(home, method))["return"]


@functools.cache
def _classes(kind: Any) -> dict[type, Any]:
    """Return the classes that an annotation allows, each with its part of the annotation."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    found = {get_origin(one) or one: one for one in kinds}
    return {int: int, **found} if float in found else found


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    """Return the fields of a value's class with their annotations."""
    return get_type_hints(kind) if attrs.has(kind) else {}
