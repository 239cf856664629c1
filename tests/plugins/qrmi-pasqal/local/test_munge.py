"""Credentials, and what goes wrong with them on this host."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qrmi_core import AuthenticationFailedError, ConfigError
from qrmi_core.deadline import Deadline, within
from qrmi_pasqal.warden.munge import Munge
from support.munged import decoded, munged

NO_LIBRARY = "libmunge-that-is-not-there.so.2"


def makers(where: str | None) -> dict[str, Munge]:
    return {"library": Munge(where), "command": Munge(where, library=NO_LIBRARY)}


@pytest.mark.parametrize("way", ["library", "command"])
def test_a_credential_proves_the_user_of_this_process_and_is_new_each_time(
    munge_socket: Path, way: str
) -> None:
    maker = makers(str(munge_socket))[way]
    first, second = maker.credential(), maker.credential()
    for credential in (first, second):
        assert credential.startswith("MUNGE:")
        assert credential.endswith(":")
        assert decoded(credential, munge_socket) == (0, os.geteuid())
    assert decoded(first, munge_socket)[0] != 0, "munged tells a credential that comes again"


def test_many_threads_make_credentials_at_once(munge_socket: Path) -> None:
    maker = Munge(str(munge_socket))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: maker.credential(), range(200)))
    assert len(set(made)) == 200
    assert all(decoded(one, munge_socket) == (0, os.geteuid()) for one in made[:20])


@pytest.mark.parametrize("way", ["library", "command"])
def test_a_munged_that_does_not_run_is_an_error_that_says_how_to_start_it(
    munge_socket: Path, tmp_path: Path, way: str
) -> None:
    nobody = str(tmp_path / "socket")
    with pytest.raises(AuthenticationFailedError, match="start munged") as caught:
        makers(nobody)[way].credential()
    assert nobody in str(caught.value)
    assert "QRMI_MUNGE_SOCKET" in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize("way", ["library", "command"])
def test_a_munged_that_has_stopped_is_an_error(munge_socket: Path, way: str) -> None:
    with munged() as own:
        maker = makers(str(own))[way]
        maker.credential()
    with pytest.raises(AuthenticationFailedError, match="start munged"):
        maker.credential()


def test_neither_library_nor_command_says_what_to_install() -> None:
    maker = Munge(library=NO_LIBRARY, command="munge-that-is-not-there")
    with pytest.raises(ConfigError, match="apt install munge") as caught:
        maker.credential()
    assert NO_LIBRARY in str(caught.value)
    assert "munge-that-is-not-there" in str(caught.value)


def test_another_library_of_that_name_is_not_used(munge_socket: Path) -> None:
    maker = Munge(str(munge_socket), library="libc.so.6")
    assert decoded(maker.credential(), munge_socket)[0] == 0


def test_a_command_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "munge"
    broken.write_bytes(b"\0")
    broken.chmod(0o755)
    with pytest.raises(AuthenticationFailedError, match="start munged"):
        Munge(library=NO_LIBRARY, command=str(broken)).credential()


def test_the_command_keeps_to_the_deadline(tmp_path: Path) -> None:
    slow = tmp_path / "munge"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    maker = Munge(library=NO_LIBRARY, command=str(slow))
    with within(Deadline(0.2)), pytest.raises(AuthenticationFailedError, match="not answer"):
        maker.credential()


@pytest.mark.slow
def test_the_library_gives_up_a_munged_that_does_not_answer(
    munge_socket: Path, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen(16)
        with pytest.raises(AuthenticationFailedError, match="start munged"):
            Munge(str(tmp_path / "s")).credential()


def test_nothing_is_loaded_before_a_credential_is_needed() -> None:
    script = (
        "import sys; from qrmi_core import QuantumResource; "
        "QuantumResource('a', 'pasqal-local', {'QRMI_WARDEN_URL': 'http://127.0.0.1:1'}); "
        "from qrmi_pasqal.warden import munge; print(munge._loaded.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "0", done.stderr
