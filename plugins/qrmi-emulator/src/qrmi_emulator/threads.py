"""Work of the server in other threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

_T = TypeVar("_T")


async def in_thread(executor: Executor, function: Callable[..., _T], *args: object) -> _T:
    """Call a function in a thread of the executor and return its result.

    Raises:
        CancelledError: The executor was shut down, as the interpreter does when it exits.
    """
    try:
        future = executor.submit(function, *args)
    except RuntimeError:
        raise asyncio.CancelledError from None
    return await asyncio.wrap_future(future)
