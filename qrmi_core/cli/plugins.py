"""`qrmi plugins`: the installed drivers and commands."""

from __future__ import annotations

from typing import Any

import click

from qrmi_core.cli.app import COMMAND_NAMES, Command, Options, load_command, pass_options
from qrmi_core.commands.exits import USAGE, describe
from qrmi_core.commands.output import say, table
from qrmi_core.errors import PluginError, QrmiError
from qrmi_core.registry import COMMANDS, GROUPS, PluginInfo, check, conflicts, installed


@click.command("plugins", cls=Command)
@click.option("--check", "do_check", is_flag=True, help="Import each, and report its problems.")
@pass_options
@click.pass_context
def plugins_command(context: click.Context, options: Options, do_check: bool) -> None:
    """List the installed plugins: drivers, commands, and extensions of front ends."""
    infos = [(kind, info) for kind, group in GROUPS.items() for info in installed(group)]
    data: list[dict[str, Any]] = [
        {
            "kind": kind,
            "name": info.name,
            "distribution": info.distribution,
            "version": info.version,
            "target": info.target,
            **({"error": _wrong(kind, info)} if do_check else {}),
        }
        for kind, info in infos
    ]
    heads = ["KIND", "NAME", "DISTRIBUTION", "VERSION", "TARGET", *(["CHECK"] if do_check else [])]
    rows = [[row[key.lower()] for key in heads[:5]] for row in data]
    if do_check:
        rows = [[*row, item["error"] or "ok"] for row, item in zip(rows, data, strict=True)]
    options.show(data, table(heads, rows))
    if not infos:
        say("no plugin is installed; pip install 'qrmi-local[all]' brings simulators")
    found = conflicts()
    for message in found:
        say(f"error: {message}")
    if do_check and (found or any(row["error"] for row in data)):
        context.exit(USAGE)


def _wrong(kind: str, info: PluginInfo) -> str | None:
    """Return the problem of a plugin, or None."""
    group = GROUPS[kind]
    error: QrmiError | None = None
    if group != COMMANDS:
        error = check(info, group)
    elif info.name in COMMAND_NAMES:
        error = PluginError(f"{info.name} is already a command of qrmi, which wins")
    else:
        try:
            load_command(info.name)
        except QrmiError as wrong:
            error = wrong
    return describe(error) if error else None
