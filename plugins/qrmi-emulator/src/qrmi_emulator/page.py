"""The page at `/`: resources, sessions and jobs with their states."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from qrmi_emulator.face import Endpoint, Face, FaceJob, State

_SHOWN = 200
_STYLE = (
    "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse;margin-bottom:2em}"
    "td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}"
)


def page(state: State, faces: Sequence[Face]) -> Endpoint:
    """Return the page's endpoint."""
    hosts = {"localhost", state.settings.host.lower(), socket.gethostname().lower()}

    async def show(request: Request) -> Response:
        # Another name may be that of a site that had it resolved to this machine, to read the page.
        name = request.url.hostname or ""
        if name not in hosts and not _is_address(name):
            return PlainTextResponse(f"The page is not served as {name!r:.60}.", 421)
        state.expire()
        known = {face.name: face for face in faces}

        def status(job: FaceJob) -> str:
            return known[job.face].vendor_status(job)

        waiting = Counter(job.resource for job in state.live.values())
        parts = [
            _table(
                "Resources",
                ("vendor", "resource", "state", "jobs waiting or running"),
                (
                    (face.name, resource, _condition(state, resource), waiting[resource])
                    for face in faces
                    for resource in face.resources()
                ),
            ),
            _table(
                f"Sessions, the latest {_SHOWN} of {len(state.sessions)}",
                ("vendor", "id", "resource", "state", "reason", "created"),
                (
                    (s.face, s.id, s.resource, state.state_of(s), s.reason, _time(s.created))
                    for s in islice(reversed(state.sessions.values()), _SHOWN)
                ),
            ),
            _table(
                f"Jobs, the latest {_SHOWN} of {len(state.jobs)}",
                ("vendor", "id", "resource", "program", "state", "reason", "session", "created"),
                (
                    (
                        *(job.face, job.name, job.resource, job.argument, status(job)),
                        *(job.reason or "", job.session or "", _time(job.created)),
                    )
                    for job in islice(reversed(state.jobs.values()), _SHOWN)
                ),
            ),
        ]
        return HTMLResponse(
            "<!doctype html><html lang=en><meta charset=utf-8><title>QRMI emulator</title>"
            f"<style>{_STYLE}</style><h1>QRMI emulator</h1>{''.join(parts)}</html>"
        )

    return show


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{escape(text)}" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}' for cell in row)}" for row in rows)
    return f"<h2>{escape(title)}</h2><table><tr>{head}{body}</table>"


def _condition(state: State, resource: str) -> str:
    found = state.condition(resource)
    return f"{found.status}: {found.reason}" if found.reason else found.status


def _time(seconds: float) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"
