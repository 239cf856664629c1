"""The helper process: a thread for each connection of its host, until the host has gone.

It is started by the C library, with the control socket as descriptor 3.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from qrmi_c.engine import Engine, Refused, code_of
from qrmi_c.frames import GREETING, REPLY, Request, Text, receive, send
from qrmi_c.records import Records
from qrmi_core import QrmiError

CONTROL = 3
_IDLE_SECONDS = 60.0
_FINISHING_SECONDS = 120.0


class Helper:
    """Serves one host.

    Args:
        control: The control socket. The host passes connections through it, sends ``B`` when it
            ends in order, and closes it in any case.
        idle_seconds: How long the helper stays without a call.
    """

    def __init__(self, control: socket.socket, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._control = control
        self._idle_seconds = idle_seconds
        self._records = Records(os.environ.get("RUST_LOG", ""))
        logging.getLogger().addHandler(self._records)
        self._engine = Engine(self._records)
        self._changed = threading.Condition(threading.Lock())
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._greeted = False
        self._running = 0
        self._changing = 0
        self._last = time.monotonic()

    def run(self) -> None:
        """Serve until the host has gone, or has made no call for a while."""
        in_order = False
        while True:
            self._control.settimeout(max(self._last + self._idle_seconds - time.monotonic(), 0.05))
            try:
                message, descriptors, _flags, _address = socket.recv_fds(self._control, 1, 1)
            except TimeoutError:
                if self._left_when_idle():
                    return
                continue
            if not message:
                break
            in_order = in_order or message == b"B"
            for descriptor in descriptors:
                self._accept(descriptor)
        self._finish()
        if not in_order and os.environ.get("QRMI_RELEASE_WHEN_KILLED") == "1":
            self._engine.release_all()

    def _accept(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        connection = socket.socket(fileno=descriptor)
        connection.sendall(GREETING)
        if not self._greeted:
            # Until now the host reads what is written here, to say why there is no helper.
            os.dup2(0, 2)
            self._greeted = True
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
        with self._changed:
            self._connections[connection] = thread
        thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            # Broken frames and broken connections end this connection alone.
            with suppress(OSError, ValueError):
                while (request := receive(connection)) is not None:
                    with self._counted(request), self._records.to(connection):
                        code, texts = self._outcome(request)
                        send(connection, REPLY | code, texts)
        finally:
            connection.close()
            with self._changed:
                del self._connections[connection]

    def _outcome(self, request: Request) -> tuple[int, list[Text]]:
        try:
            return 0, self._engine.run(request.operation, request.fields)
        except Exception as error:
            known = isinstance(error, QrmiError | Refused)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            return code_of(error), [reason.encode(errors="replace")]

    @contextmanager
    def _counted(self, request: Request) -> Iterator[None]:
        """Count a request as running, and as changing something if it does."""
        changing = request.operation in self._engine.CHANGING
        with self._changed:
            self._running += 1
            self._changing += changing
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changing -= changing
                self._last = time.monotonic()
                if changing:
                    self._changed.notify_all()

    def _left_when_idle(self) -> bool:
        """Close the connections and return True if no request came for a while.

        A request that is already there is carried out. One that comes later cannot be sent, and the
        host sends it to another helper.
        """
        with self._changed:
            idle = time.monotonic() - self._last >= self._idle_seconds
            if not idle or self._running or self._engine.holds:
                return False
            threads = list(self._connections.values())
            for connection in self._connections:
                connection.shutdown(socket.SHUT_RD)
        for thread in threads:
            thread.join()
        return True

    def _finish(self) -> None:
        """Wait for the host's requests that may have taken effect."""
        end = time.monotonic() + _FINISHING_SECONDS
        with self._changed:
            while self._changing and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)


def main() -> None:
    """Serve the host that has started this process."""
    os.set_inheritable(CONTROL, False)
    seconds = float(os.environ.get("QRMI_HELPER_IDLE_SECONDS", _IDLE_SECONDS))
    Helper(socket.socket(fileno=CONTROL), seconds).run()
    # Threads may still wait for a service, for a host that has gone.
    os._exit(0)


if __name__ == "__main__":
    main()
