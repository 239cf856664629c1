"""The server, which runs in a thread, and its interface for Python."""

from __future__ import annotations

import atexit
import contextlib
import ipaddress
import json
import logging
import os
import secrets
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import requests
import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from qrmi_core import ServiceError
from qrmi_core.plugin import replace_file
from qrmi_emulator import config
from qrmi_emulator.discovery import face_class, vendors
from qrmi_emulator.face import Face, State
from qrmi_emulator.settings import EmulatorSettings
from qrmi_local.engines import MissingExtra

_log = logging.getLogger(__name__)

_START_SECONDS = 30.0


class Control:
    """A client of the control endpoint of a running emulator.

    Args:
        url: The emulator's address.
        key: Its control key.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._key = key

    @classmethod
    def of(cls, home: Path) -> Control:
        """Return the client of the emulator that uses a folder.

        Raises:
            FileNotFoundError: No emulator has used it.
        """
        known = json.loads((home / "server.json").read_text())
        return cls(known["url"], known["control_key"])

    def fault(self, kind: str, **values: Any) -> None:
        """Let a fault wait for requests; see `qrmi_emulator.faults.Fault` for the values.

        Raises:
            ValueError: The values are not those of a fault.
        """
        self.call("POST", "faults", {"kind": kind, **values})

    def clear_faults(self) -> None:
        """Forget the faults that wait."""
        self.call("DELETE", "faults")

    def change(self, **values: Any) -> None:
        """Change settings.

        Raises:
            ValueError: One cannot be changed, or not to this value.
        """
        self.call("PATCH", "settings", values)

    def set_resource(self, resource_id: str, **values: Any) -> None:
        """Set the condition of a resource; see `qrmi_emulator.face.Condition` for the values.

        Raises:
            ValueError: The resource or the condition is unknown.
        """
        self.call("PUT", f"resources/{quote(resource_id, safe='')}", values)

    def act(self, job_id: str, action: str, **values: Any) -> None:
        """Act on a job as an operator: ``cancel``, ``fail``, ``too-long`` or ``release`` it.

        Raises:
            ValueError: The job or the action is unknown.
        """
        self.call("POST", f"jobs/{job_id}/{action}", values)

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests to the vendors' APIs so far; see `app.RecordedRequest`."""
        recorded: list[dict[str, Any]] = self.call("GET", "requests")
        return recorded

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        self.call("DELETE", "requests")

    def info(self) -> dict[str, Any]:
        """Return the numbers of jobs and sessions, the faults that wait, and the settings."""
        known: dict[str, Any] = self.call("GET", "")
        return known

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to the control endpoint and return its JSON.

        Raises:
            ValueError: It is refused, or the body cannot be sent.
            requests.ConnectionError: Nobody listens.
        """
        try:
            # The server refuses NaN and the like, with the name of the value.
            content = None if body is None else json.dumps(body)
        except TypeError as error:
            raise ValueError(str(error)) from error
        # Only loopback, and never through a proxy that the environment names.
        with requests.Session() as session:
            session.trust_env = False
            response = session.request(
                method,
                f"{self.url}/control/{path}".rstrip("/"),
                data=content,
                headers={"Authorization": f"Bearer {self._key}"},
                timeout=30,
            )
        if response.status_code >= 400:
            raise ValueError(response.json().get("error", response.text))
        return response.json()


class Emulator(Control):
    """An emulator in this process, for as long as the context lasts.

    Args:
        vendors: The faces to serve, by name or class; by default all that are installed and can
            be served.
        state: Folder to keep everything in; a temporary one by default, deleted at the end.
        settings: Values of `EmulatorSettings`.

    Attributes:
        url: The emulator's address.
        home: The folder.
        faces: The faces that are served.
        unavailable: Why installed faces are not served, by name.
    """

    def __init__(
        self,
        vendors: Iterable[str | type[Face]] = (),
        *,
        state: Path | str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__("", secrets.token_urlsafe(32))
        self._settings = EmulatorSettings(**settings)
        self._chosen = tuple(dict.fromkeys(vendors))
        self._folder = state
        self._stack = contextlib.ExitStack()
        self.faces: list[Face] = []
        self.unavailable: dict[str, Exception] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            if self._folder is None:
                self.home = Path(tempfile.mkdtemp(prefix="qrmi-emulator-"))
                stack.callback(shutil.rmtree, self.home, ignore_errors=True)
            else:
                self.home = Path(self._folder).absolute()
            state = State(self.home, self._settings)
            stack.callback(state.close)
            self.faces = self._served(state)
            listener = stack.enter_context(self._listen())
            host, port = listener.getsockname()[:2]
            self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            # A client on another machine cannot use the address that stands for every address.
            is_any = ipaddress.ip_address(host).is_unspecified
            self._client_url = f"http://{socket.gethostname()}:{port}" if is_any else self.url
            server = self._server = _Server(state, self.faces, self._key)
            thread = threading.Thread(target=server.serve_on, args=(listener,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.stop)
            server.wait_until_started(thread)
            self._secrets = state.secrets()
            self._note(url=self.url, port=port, control_key=self._key)
            # One that nobody closes must not leave its folder behind.
            atexit.register(self._close_at_exit, os.getpid())
            stack.callback(atexit.unregister, self._close_at_exit)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, error: type[BaseException] | None = None, *_more: object) -> None:
        self._stack.close()
        if error is None:
            self._server.check()

    def wait(self) -> None:
        """Wait until the emulator ends by itself, which it does only if it fails.

        Raises:
            ServiceError: Why it failed.
        """
        self._server.ended.wait()
        self._server.check()

    def _close_at_exit(self, process: int) -> None:
        if process == os.getpid():  # not in a forked child
            self._stack.close()

    def config(self, resources: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
        """Return a `qrmi_config.json` for the faces that are served.

        Args:
            resources: Types and ids of resources besides one of each vendor.
        """
        return config.document(self.faces, self._client_url, resources)

    def write_config(
        self, path: Path | str, resources: Iterable[tuple[str, str]] | None = None
    ) -> dict[str, Any]:
        """Write a `qrmi_config.json`. It replaces only one that was written with the same state.

        Args:
            path: The file.
            resources: As for `config`; by default those of the last time with this state.

        Raises:
            FileExistsError: The file is not of an emulator with this state.
            OSError: It cannot be written.
            ValueError: No vendor that is served has such a resource.
        """
        if resources is None:
            resources = self._former("resources", [])
            types = {name for face in self.faces for name in face.types}
            # Those of a vendor that is not served this time may be for the next time.
            content = self.config((kind, name) for kind, name in resources if kind in types)
        else:
            resources = list(resources)
            content = self.config(resources)
        config.write(Path(path), content, self._secrets)
        self._note(resources=resources)
        return content

    def settings_for(self, resource_type: str) -> dict[str, str]:
        """Return the settings of a client of a type, without the resource's prefix.

        Raises:
            ValueError: No vendor that is served has the type.
        """
        for face in self.faces:
            if resource_type in face.types:
                return face.environment(resource_type, self._client_url)
        raise ValueError(f"no vendor that is served has the type {resource_type!r}")

    def _served(self, state: State) -> list[Face]:
        faces: list[Face] = []
        self.unavailable = {}
        for vendor in self._chosen or vendors():
            try:
                kind = face_class(vendor) if isinstance(vendor, str) else vendor
                faces.append(kind(state))
            except Exception as error:  # one that cannot be served is no reason to serve none
                if self._chosen:
                    raise
                self.unavailable[str(vendor)] = error
                if not isinstance(error, MissingExtra):
                    _log.warning("vendor %s is not served: %s", vendor, error)
        if not faces:
            causes = "; ".join(str(error) for error in self.unavailable.values())
            raise MissingExtra(f"no vendor can be served: {causes}")
        return sorted(faces, key=lambda face: face.matches_any_path)

    def _former(self, name: str, default: Any) -> Any:
        """Return a value of the last time."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            return json.loads((self.home / "server.json").read_text())[name]
        return default

    def _note(self, **values: Any) -> None:
        path = self.home / "server.json"
        known: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(path.read_text())
        replace_file(path, json.dumps(known | values).encode())

    def _listen(self) -> socket.socket:
        host = self._settings.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        former = self._former("port", 0)
        for port in dict.fromkeys((self._settings.port or former, self._settings.port)):
            # With the protocol named, asyncio sends what is written without waiting for more.
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except (OSError, UnicodeError) as error:
                listener.close()
                reason = getattr(error, "strerror", None) or "this is not the name of a host"
                failure = OSError(f"cannot listen on {host}, port {port}: {reason}")
            else:
                return listener
        raise failure


class _Server(uvicorn.Server):
    """uvicorn without signal handlers, in a thread, whose connections can be cut.

    Attributes:
        ended: Set when it serves no more.
    """

    def __init__(self, state: State, faces: Sequence[Face], control_key: str) -> None:
        from qrmi_emulator.app import application

        self.ended = threading.Event()
        self._failure: BaseException | None = None
        connections: dict[Any, Any] = {}

        class Protocol(H11Protocol):
            """The protocol of connections that are kept by their client's address."""

            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                connections[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                connections.pop(self.client, None)
                super().connection_lost(exc)

        def cut(scope: Scope, at_once: bool) -> None:
            transport = connections.get(scope["client"])
            if transport is None:
                return
            if at_once:
                # Without lingering the client sees a reset, not an orderly end.
                transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                transport.abort()
            else:
                transport.close()

        super().__init__(
            uvicorn.Config(
                application(state, faces, control_key=control_key, cut=cut, fail=self._fail),
                http=Protocol,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                # Longer than a client pauses between two polls, so that its connection lives.
                timeout_keep_alive=75,
                timeout_graceful_shutdown=2,
                backlog=2048,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave signals to the main thread."""
        yield

    def serve_on(self, listener: socket.socket) -> None:
        """Serve until stopped, or until the work besides the requests fails."""
        try:
            self.run(sockets=[listener])
        except BaseException as error:
            self._fail(error)
        finally:
            self.ended.set()

    def check(self) -> None:
        """Raise ServiceError if the server failed."""
        if self._failure:
            raise ServiceError(
                f"the emulator has ended: {type(self._failure).__name__}: {self._failure}"
            ) from self._failure

    def _fail(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self._failure = self._failure or error
        self.stop()

    def stop(self) -> None:
        """Ask the server to end."""
        self.should_exit = True

    def wait_until_started(self, thread: threading.Thread) -> None:
        """Wait until the server has started.

        Raises:
            RuntimeError: It does not start.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not self.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the emulator's server did not start")
            time.sleep(0.01)
