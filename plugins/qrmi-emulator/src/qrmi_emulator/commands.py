"""The command `qrmi emulator`."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import attrs
import click

from qrmi_core import ConfigError, InvalidInputError, ServiceError
from qrmi_core.plugin import is_loopback, state_folder
from qrmi_emulator.records import CONDITIONS
from qrmi_emulator.settings import EmulatorSettings
from qrmi_local.engines import MissingExtra

F = TypeVar("F", bound=Callable[..., Any])


def default_state() -> Path:
    """Return the default folder: one for each host, since home folders are shared.

    Raises:
        ConfigError: The user has no home folder.
    """
    try:
        state = state_folder()
    except ConfigError as error:
        raise ConfigError(f"{error}, or give --state a folder of yours") from error
    return state / "qrmi" / "emulator" / socket.gethostname()


_state = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of the emulator's state; by default one of yours for this host.",
)


def _settings(function: F) -> F:
    """Options for the fields of `EmulatorSettings`."""
    for field in reversed(attrs.fields(EmulatorSettings)):
        option = click.option(
            f"--{field.name.replace('_', '-')}",
            type=field.metadata["type"],
            help=field.metadata["help"],
        )
        function = option(function)
    return function


@click.group()
def emulator() -> None:
    """Serve vendors' APIs on this machine, and let faults happen to them."""


@emulator.command()
@click.option("--vendor", "vendors", multiple=True, help="An API to serve; all by default.")
@_state
@click.option(
    "--config-out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a qrmi_config.json that points clients here.",
)
@click.option(
    "--resource",
    "resources",
    multiple=True,
    metavar="TYPE:ID",
    help="A further resource for the file; by default those of the last time.",
)
@_settings
def serve(
    vendors: tuple[str, ...],
    state: Path | None,
    config_out: Path | None,
    resources: tuple[str, ...],
    **settings: Any,
) -> None:
    """Serve until interrupted."""
    from qrmi_emulator.server import Emulator

    given = {name: value for name, value in settings.items() if value is not None}
    host = given.get("host", "127.0.0.1")
    if not is_loopback(host):
        click.echo(
            f"warning: {host} can be reached from other machines, without encryption", err=True
        )
    home = state or default_state()
    try:
        with Emulator(vendors, state=home, **given) as running:
            pairs = [_pair(resource) for resource in resources] or None
            if config_out:
                content = running.write_config(config_out, pairs)
            else:
                content = running.config(pairs or ())
            # A signal is the normal end.
            with contextlib.suppress(KeyboardInterrupt):
                click.echo(f"listening on {running.url}")
                for resource in content["resources"]:
                    click.echo(f"{resource['type']}:{resource['name']}")
                running.wait()
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    except MissingExtra as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise _unusable(home, error) from error


@emulator.command()
@click.argument("kind")
@_state
@click.option("--path", help="Pattern of the requests' paths, such as '*/jobs'; all by default.")
@click.option("--method", help="The requests' method; all by default.")
@click.option("--count", type=int, help="How many requests it hits, 0 for all; 1 by default.")
@click.option("--seconds", type=float, help="How long it lasts, or until a job meets it.")
@click.option("--status", type=int, help="HTTP status of the error; 503 by default.")
@click.option("--retry-after", help="Value of the header Retry-After.")
@click.option("--delay", type=float, help="Seconds of a latency; 1 by default.")
@click.option("--reason", help="Why a job fails or is cancelled.")
@click.option("--code", type=int, help="The vendor's number for that.")
def fault(kind: str, state: Path | None, **values: Any) -> None:
    """Let a fault of KIND happen to the next requests of a running emulator.

    \b
    Requests: latency status reset reset-after truncated malformed
              expired-token outage
    Jobs:     job-queued job-paused job-failed job-too-long job-cancelled
    """
    from qrmi_emulator.faults import Fault

    given = {name: value for name, value in values.items() if value is not None}
    if given.get("count") == 0:
        given["count"] = None
    try:
        Fault.from_mapping({"kind": kind, **given})
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    _call(state, "POST", "faults", {"kind": kind, **given})


@emulator.command()
@_state
def clear(state: Path | None) -> None:
    """Forget the faults that wait."""
    _call(state, "DELETE", "faults")


@emulator.command()
@_state
def info(state: Path | None) -> None:
    """Show jobs, sessions, faults and settings of a running emulator, as JSON."""
    click.echo(json.dumps(_call(state, "GET", ""), indent=2))


@emulator.command()
@click.argument("name")
@click.argument("value")
@_state
def change(name: str, value: str, state: Path | None) -> None:
    """Change a setting of a running emulator: NAME to VALUE, or to `none`."""
    parsed: Any = value
    with contextlib.suppress(ValueError):
        parsed = None if value == "none" else json.loads(value)
    _call(state, "PATCH", "settings", {name.replace("-", "_"): parsed})


@emulator.command()
@click.argument("resource_id", metavar="RESOURCE")
@click.argument("status", type=click.Choice(list(CONDITIONS)))
@_state
@click.option("--reason", help="Why; the vendor's usual words by default.")
@click.option("--queue-length", type=int, help="How many jobs of others wait there; 0 by default.")
def resource(resource_id: str, status: str, state: Path | None, **values: Any) -> None:
    """Set the STATUS of a RESOURCE."""
    given = {name: value for name, value in values.items() if value is not None}
    path = f"resources/{quote(resource_id, safe='')}"
    _call(state, "PUT", path, {"status": status, **given})


@emulator.command()
@click.argument("job_id", metavar="JOB")
@click.argument("action", type=click.Choice(["cancel", "fail", "too-long", "release"]))
@_state
def job(job_id: str, action: str, state: Path | None) -> None:
    """Act on a JOB as an operator."""
    _call(state, "POST", f"jobs/{job_id}/{action}")


def _call(state: Path | None, method: str, path: str, body: object = None) -> Any:
    import requests

    from qrmi_emulator.server import Control

    home = state or default_state()
    try:
        return Control.of(home).call(method, path, body)
    except (FileNotFoundError, requests.ConnectionError) as error:
        raise ServiceError(f"no emulator runs with {home}: start `qrmi emulator serve`") from error
    except OSError as error:
        raise _unusable(home, error) from error
    except ValueError as error:
        raise InvalidInputError(str(error)) from error


def _pair(resource: str) -> tuple[str, str]:
    resource_type, colon, resource_id = resource.partition(":")
    if not colon or not resource_id:
        raise ValueError(f"{resource!r} is not TYPE:ID")
    return resource_type, resource_id


def _unusable(home: Path, error: OSError) -> ConfigError:
    """Return the error for an operation that the system refused."""
    if not error.filename:
        return ConfigError(str(error))
    path = Path(os.fsdecode(error.filename))
    what = f"{path}: {error.strerror}"
    if path.is_relative_to(home) or home.is_relative_to(path):
        what += "; give --state a folder of yours"
    return ConfigError(what)
