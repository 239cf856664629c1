"""Completion in shells: the names that a NAME argument may have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    shell_complete,
    split_arg_string,
)

from qrmi_core.cli.app import Options


def complete(cli: click.Command) -> int:
    """Answer the shell, which asks by the environment."""
    add_completion_class(_Bash)
    return shell_complete(
        cli, {"obj": Options()}, "qrmi", "_QRMI_COMPLETE", os.environ["_QRMI_COMPLETE"]
    )


def names(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names that begin like `incomplete`. No vendor is contacted."""
    options = context.find_object(Options) or Options()
    found = dict.fromkeys(_names(options, incomplete))
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def _names(options: Options, incomplete: str) -> Iterator[str]:
    from qrmi_core.config import config_files, inspect_config, job_resources
    from qrmi_core.discovery import ResourceProvider
    from qrmi_core.errors import QrmiError
    from qrmi_core.registry import find_driver, installed

    with suppress(QrmiError):
        yield from job_resources()
    for path in config_files(options.config):
        for entry in inspect_config(path).resources:
            yield f"{entry.name}:" if entry.is_dynamic else entry.name
    for info in installed():
        found: list[str] = []
        # Importing a driver takes time, so only the one whose type is begun is asked.
        if incomplete and f"{info.name}:".startswith(incomplete[: len(info.name) + 1]):
            with suppress(QrmiError):
                if getattr(find_driver(info.name), "discovers_offline", False):
                    provider = ResourceProvider(info.name, os.environ)
                    found = [f"{info.name}:{each.resource_id}" for each in provider.infos()]
        yield from found or [f"{info.name}:"]


class _Bash(BashComplete):
    """bash takes a colon for the end of a word; in a name it is not."""

    name = "bash"
    _done = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the one it is in."""
        index = int(os.environ["COMP_CWORD"])
        words = [*split_arg_string(os.environ["COMP_WORDS"]), ""][1 : index + 1]
        joined = [""]
        for word in words:
            if word == ":" or joined[-1].endswith(":"):
                joined[-1] += word
            else:
                joined.append(word)
        _, *arguments, incomplete = joined
        self._done = incomplete[: incomplete.rfind(":") + 1]
        return arguments, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """Return the text that bash puts after the colon."""
        item.value = item.value.removeprefix(self._done)
        return super().format_completion(item)
