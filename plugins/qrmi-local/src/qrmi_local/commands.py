"""The command `qrmi local`: upkeep of the store."""

from __future__ import annotations

import json
from typing import Any

import click

from qrmi_core.plugin import InvalidInputError, TaskStatus
from qrmi_local.pool import open_store
from qrmi_local.settings import LocalSettings, to_duration
from qrmi_local.store import TaskStore

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def local() -> None:
    """Look after the store of local resources."""


@local.command()
@_as_json
def info(as_json: bool) -> None:
    """Show the place and the contents of the store."""
    settings, store = _open()
    store.settle()
    counts = store.counts()
    facts: dict[str, Any] = {
        "home": str(settings.home),
        "journal_mode": store.journal_mode(),
        "bytes": store.size(),
        "slots": settings.slots,
        "workers": store.workers(settings.slots),
        "retention_seconds": settings.retention_seconds,
        "tasks": {status.name.lower(): counts[status] for status in TaskStatus},
    }
    store.close()
    if as_json:
        click.echo(json.dumps(facts))
        return
    facts["tasks"] = ", ".join(f"{number} {name}" for name, number in facts["tasks"].items())
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):<18} {value}")


@local.command()
@click.option("--older-than", metavar="DURATION", help="Such as 12h or 7d; default: retention.")
@click.option("--all", "everything", is_flag=True, help="Delete all tasks that have ended.")
@_as_json
def prune(older_than: str | None, everything: bool, as_json: bool) -> None:
    """Delete finished tasks with their results and logs."""
    settings, store = _open()
    if everything and older_than is not None:
        raise InvalidInputError("give either --older-than or --all")
    seconds = settings.retention_seconds
    if everything:
        seconds = 0.0
    elif older_than is not None:
        try:
            seconds = to_duration(older_than)
        except ValueError as error:
            raise InvalidInputError(f"--older-than: {older_than!r} is not {error}") from None
    number = store.prune(seconds)
    store.close()
    click.echo(json.dumps({"deleted": number}) if as_json else f"{number} tasks deleted")


def _open() -> tuple[LocalSettings, TaskStore]:
    settings = LocalSettings.from_environment("local")
    return settings, open_store(settings)
