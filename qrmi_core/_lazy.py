"""Modules whose names are imported from their homes when they are first used."""

from __future__ import annotations


def export(namespace: dict[str, object]) -> None:
    """Give a module the names that its stub, the file for type checkers, imports.

    Args:
        namespace: The module's ``globals()``. Beside the module is its stub, which has lines of
            the form ``from home import name as name`` and nothing else.
    """
    home_of: dict[str, str] = {}
    home = before = ""
    with open(f"{namespace['__file__']}i", encoding="utf-8") as stub:
        words = stub.read().split()
    for word in words:
        if before == "from":
            home = word
        elif before == "as":
            home_of[word.rstrip(",")] = home
        before = word

    def get(name: str) -> object:
        import importlib

        if name not in home_of:
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        value = namespace[name] = getattr(importlib.import_module(home_of[name]), name)
        return value

    namespace.update(__getattr__=get, __dir__=lambda: list(home_of), __all__=list(home_of))
