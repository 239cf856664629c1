"""The help texts of all commands in docs/cli.md. Run as a script, it updates the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from qrmi_core.cli.app import COMMAND_NAMES, cli

PAGE = Path(__file__).parents[2] / "docs/cli.md"
_WIDTH = {"terminal_width": 80, "max_content_width": 80}
BEGIN, END = "% help begins\n", "% help ends\n"


def _commands(command: click.Command, context: click.Context) -> Iterator[str]:
    help_text = command.get_help(context)
    if context.parent is None:
        # The page must not depend on the installed plugins.
        help_text = help_text.partition("\n\nCommands of plugins:")[0]
    else:
        help_text = help_text.partition("\n\nOptions of every command:")[0] + (
            "\n\nCommands:" + help_text.partition("\n\nCommands:")[2]
            if isinstance(command, click.Group)
            else ""
        )
    yield f"### `{context.command_path}`\n\n```text\n{help_text}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if context.parent is not None or name in COMMAND_NAMES:
                child = command.get_command(context, name)
                assert child is not None
                yield from _commands(
                    child, click.Context(child, parent=context, info_name=name, **_WIDTH)
                )


def with_help(page: str) -> str:
    """Return the page with the current help texts."""
    root = click.Context(cli, info_name="qrmi", **_WIDTH, **cli.context_settings)
    text = "\n".join(_commands(cli, root))
    return re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}",
        lambda _: f"{BEGIN}\n{text}\n{END}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(with_help(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
