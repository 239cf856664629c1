"""Commands about resources: which there are, their state, and reserving them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from qrmi_core.cli.app import Command, Options, pass_options
from qrmi_core.cli.completion import names
from qrmi_core.cli.progress import Progress
from qrmi_core.commands.exits import describe
from qrmi_core.commands.output import flush, say, table
from qrmi_core.errors import ConfigError, EnvVarNotSetError, QrmiError
from qrmi_core.values import ResourceInfo

if TYPE_CHECKING:
    from qrmi_core.config import Config

_name = click.argument("name", shell_complete=names)


@click.command("resources", cls=Command)
@click.option("--type", "resource_type", metavar="TYPE", help="Only resources of this type.")
@click.option(
    "--filter",
    "filters",
    metavar="FILTER",
    help="Only discovered ones that fit: key=value joined by &; num_qubits, max_shots, name, "
    "is_simulator, status.",
)
@pass_options
def resources_command(options: Options, resource_type: str | None, filters: str | None) -> None:
    """List the resources: of the job, of the configuration, and those that can be discovered."""
    from qrmi_core.config import Config, config_files
    from qrmi_core.discovery import conditions, parse_filters

    conditions(parse_filters(filters))
    configs = [Config.load(path) for path in config_files(options.config)]
    with options.bounded():
        found = [] if filters else list(_named(configs, resource_type))
        found += _discovered(configs, resource_type, filters)
    data = list({row["name"]: row for row in reversed(found)}.values())[::-1]
    heads = ["name", "type", "num_qubits", "is_simulator", "status", "pending_job_count", "source"]
    shown = ["NAME", "TYPE", "QUBITS", "SIMULATOR", "STATUS", "PENDING", "SOURCE"]
    options.show(data, table(shown, [[row[key] for key in heads] for row in data]))


def _row(name: str, kind: str, source: str, info: ResourceInfo | None = None) -> dict[str, Any]:
    facts = (info or ResourceInfo(name)).to_dict()
    return {"name": name, "type": str(kind), **facts, "source": source}


def _named(configs: Sequence[Config], wanted: str | None) -> Iterator[dict[str, Any]]:
    """The resources that are named in the job's environment and in configuration files."""
    from qrmi_core.config import job_resources

    try:
        for name, kind in job_resources().items():
            if wanted in (None, kind):
                yield _row(name, kind, "job")
    except EnvVarNotSetError:
        pass
    for config in configs:
        for entry in config.resources:
            if not entry.is_dynamic and wanted in (None, entry.resource_type):
                yield _row(entry.name, entry.resource_type, str(config.path))


def _discovered(
    configs: Sequence[Config], wanted: str | None, filters: str | None
) -> Iterator[dict[str, Any]]:
    """Yield the resources that dynamic entries reach, and drivers with the environment."""
    from qrmi_core.discovery import ResourceProvider
    from qrmi_core.driver import Discovers
    from qrmi_core.registry import find_driver, installed

    def rows(head: str, kind: str, source: str, environment: Mapping[str, str]) -> list[Any]:
        infos = ResourceProvider(kind, environment).infos(filters)
        return [_row(f"{head}:{info.resource_id}", kind, source, info) for info in infos]

    for config in configs:
        for entry in config.resources:
            if entry.is_dynamic and wanted in (None, entry.resource_type):
                source = str(config.path)
                try:
                    yield from rows(entry.name, entry.resource_type, source, entry.environment)
                except QrmiError as error:
                    say(f"warning: {entry.name}: {describe(error)}")
    for kind in [wanted] if wanted else sorted({info.name for info in installed()}):
        try:
            if wanted or issubclass(find_driver(kind), Discovers):
                yield from rows(kind, kind, "discovery", os.environ)
        except ConfigError as error:
            # Not to have settings in the environment is no fault unless it was asked for.
            if wanted:
                say(f"warning: {kind}: {describe(error)}")
        except QrmiError as error:
            if wanted:
                raise
            say(f"warning: {kind}: {describe(error)}")


@click.command("status", cls=Command)
@_name
@pass_options
def status_command(options: Options, name: str) -> None:
    """Print the state of a resource."""
    resource = options.open(name)
    with options.bounded():
        data = resource.status().to_dict()
    rows = [
        (key.replace("_", " "), _capacity(value) if key == "capacity" else value)
        for key, value in data.items()
    ]
    data |= {"resource": name, "metadata": resource.metadata()}
    options.show(data, table(["resource", name], rows))


def _capacity(value: dict[str, int] | None) -> str | None:
    return f"{value['available_slots']} of {value['max_slots']} places free" if value else None


@click.command("target", cls=Command)
@_name
@pass_options
def target_command(options: Options, name: str) -> None:
    """Print the description of the device for compilers, as the vendor sends it."""
    with options.bounded():
        text = options.open(name).target().value
    if options.as_json:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            text = json.dumps(text)
    click.echo(text)


@click.command("acquire", cls=Command)
@_name
@pass_options
def acquire_command(options: Options, name: str) -> None:
    """Reserve a resource and print the acquisition token.

    The reservation outlives the command: give it back with `qrmi release NAME TOKEN`.
    """
    token = None
    try:
        with Progress() as progress:
            resource = options.open(name, on_wait=progress.waiting)
            progress.doing("acquiring")
            with options.signals.fragile():
                token = resource.acquire(options.timeout, detached=True)
                options.acquired(resource, name, token)
        held = resource.supports("acquire")
        if not held:
            say(f"warning: {name} cannot be reserved; the token stands for nothing")
        options.show({"resource": name, "token": token, "held": held}, token)
        flush()
        options.unfinished.clear()
    except BaseException:
        # Nobody knows the token.
        if token is not None:
            options.release(resource, token, cancel_pending=False)
        raise


@click.command("release", cls=Command)
@_name
@click.argument("token")
@click.option("--cancel", is_flag=True, help="Cancel the tasks still queued under it.")
@pass_options
def release_command(options: Options, name: str, token: str, cancel: bool) -> None:
    """Release a reservation."""
    resource = options.open(name)
    options.acquired(resource, name, token)
    with options.bounded():
        options.release(resource, token, cancel_pending=cancel)
    options.show({"resource": name, "released": True}, f"{name} is released")
