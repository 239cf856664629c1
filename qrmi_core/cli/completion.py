"""Completion in shells: the names that a NAME argument may have."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem, shell_complete

from qrmi_core.cli.app import Options


def complete(cli: click.Command) -> int:
    """Answer the shell, which asks by the environment."""
    return shell_complete(
        cli, {"obj": Options()}, "qrmi", "_QRMI_COMPLETE", os.environ["_QRMI_COMPLETE"]
    )


def names(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names that begin like `incomplete`. No vendor is contacted."""
    options = context.find_object(Options) or Options()
    return [CompletionItem(name) for name in _names(options) if name.startswith(incomplete)]


def _names(options: Options) -> Iterator[str]:
    from qrmi_core.config import Config, config_files, job_resources
    from qrmi_core.errors import QrmiError
    from qrmi_core.registry import installed

    with contextlib.suppress(QrmiError):
        yield from job_resources()
    for path in config_files(options.config):
        with contextlib.suppress(QrmiError):
            yield from Config.load(path).resource_map
    for info in installed():
        yield f"{info.name}:"
