"""What holds for all tests: loopback only, and the documentation's examples are tests.

The conventions for examples are in CONTRIBUTING.md.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import SkipParser
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

# Before anything imports it: its assertions show their values, as those of a test file do.
pytest.register_assert_rewrite("support")
pytest_plugins = ["support.selection"]

ROOT = Path(__file__).parent
CONSOLE_TIMEOUT_SECONDS = 100
TUTORIALS = ROOT / "docs/tutorials"
# They take minutes, so `make docs-tutorials` runs them alone, and the plots they make are kept.
RUN_TUTORIALS = "QRMI_TEST_TUTORIALS" in os.environ

# Before stevedore is imported: it keeps what it finds in the user's cache folder.
_cache = tempfile.TemporaryDirectory(prefix="qrmi-tests-")
os.environ["XDG_CACHE_HOME"] = _cache.name

# A shell's job in the background ignores Ctrl-C, and so would the programs that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The example plugin's tests run where only the core's wheel is installed (tests/packaging).
collect_ignore = ["docs/examples/qrmi-example/tests"]


def _is_local(host: object) -> bool:
    if host is None or isinstance(host, bytes):
        return host is None or _is_local(host.decode())
    name = str(host).strip("[]").partition("%")[0].lower().rstrip(".")
    # The names that are reserved for never existing, for tests of what happens then.
    if name in {"", "localhost"} or name.endswith((".localhost", ".invalid")):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback or name in {"0.0.0.0", "::"}
    except ValueError:
        return False


def _loopback_only(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    if not _is_local(host):
        raise PermissionError(f"a test wanted to reach {host!r}; tests use loopback only")


sys.addaudithook(_loopback_only)


# --- examples in the documentation --------------------------------------------------------------


@contextmanager
def _page() -> Iterator[None]:
    """A temporary folder to be in, an empty home folder, and no settings from outside."""
    environment = dict(os.environ)
    folder = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="qrmi-page-", ignore_cleanup_errors=True) as name:
        home = Path(name, "home")
        work = Path(name, "work")
        home.mkdir(mode=0o700)
        work.mkdir()
        for variable in environment:
            if variable.startswith(("SLURM_", "XDG_")) or (
                "QRMI_" in variable and not variable.startswith("QRMI_TEST_")
            ):
                del os.environ[variable]
        os.environ |= {
            "HOME": str(home),
            "XDG_CACHE_HOME": _cache.name,
            "QRMI_LOCAL_HOME": str(home / "qrmi-local"),
            # Workers that a page has started leave soon after it.
            "QRMI_LOCAL_IDLE_SECONDS": "10",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        }
        os.chdir(work)
        try:
            yield
            if RUN_TUTORIALS:
                for plot in work.glob("*.png"):
                    shutil.copy(plot, TUTORIALS)
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)


_pages = ExitStack()


def _enter_page(namespace: dict[str, Any]) -> None:
    _pages.enter_context(_page())
    # For `skip`: what examples may need that no package of Python brings.
    namespace["without_munge"] = shutil.which("munge") is None


def _enter_slurm_page(namespace: dict[str, Any]) -> None:
    """Give a page a cluster that Slurm's commands find, and the site's files in its folder."""
    from support.cluster import missing

    if problem := missing("shim"):
        pytest.skip(problem)
    _enter_page(namespace)
    script = ROOT / "tests/support/cluster.py"
    Path("tests").symlink_to(ROOT / "tests")
    Path.cwd().parent.chmod(0o755)  # MUNGE's socket must be open to all users
    folder = Path("site").absolute()
    command = [sys.executable, script, "up", "--nodes", "2", "--mode", "shim", folder]
    subprocess.run(command, check=True, timeout=CONSOLE_TIMEOUT_SECONDS)
    down = [sys.executable, script, "down", folder]
    _pages.callback(subprocess.run, down, check=True, timeout=CONSOLE_TIMEOUT_SECONDS)
    os.environ["SLURM_CONF"] = str(folder / "etc/slurm.conf")
    # Its `qrmi-slurm` is the one with the site's settings.
    os.environ["PATH"] = os.pathsep.join(
        [str(folder / "qrmi"), os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"]
    )
    for path in (folder / "qrmi").glob("*.*"):
        Path(path.name).symlink_to(path)
    Path("accounting.jsonl").symlink_to(folder / "qrmi/accounting.jsonl")


def _leave_page(_namespace: dict[str, Any]) -> None:
    _pages.close()


def _script(session: str) -> str:
    """A bash script of a session's commands, each checked for the status it should have."""
    lines = session.splitlines()
    commands: list[tuple[str, int]] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if not line.startswith("$ "):
            continue
        if line == "$ echo $?":
            command, _ = commands.pop()
            commands.append((command, int(lines[number])))
            continue
        command = line[2:]
        while number < len(lines) and re.match(r">( |$)", lines[number]):
            command += "\n" + lines[number][2:]
            number += 1
        commands.append((command, 0))
    if not commands:
        raise ValueError("a console block needs a line that begins with `$ `")
    return "\n".join(
        f"{command}\n"
        f"qrmi_status=$?; [ $qrmi_status -eq {status} ] || {{ "
        f"printf '%s\\n' {shlex.quote(f'status is not {status}: {command}')} "
        f'"it is $qrmi_status" >&2; exit 1; }}'
        for command, status in commands
    )


def _run_console(example: Example) -> str | None:
    try:
        done = subprocess.run(
            ["bash", "-c", _script(example.parsed)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CONSOLE_TIMEOUT_SECONDS,
            check=False,
        )
    except (IndexError, ValueError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    return f"{done.stdout}{done.stderr}" if done.returncode else None


def _distributions() -> dict[str, tuple[Path, set[str]]]:
    """Name -> folder and extras of every distribution here."""
    found = {"qrmi-core": (ROOT, set[str]())}
    for pattern in ("plugins/*/pyproject.toml", "docs/examples/*/pyproject.toml"):
        for path in ROOT.glob(pattern):
            project = tomllib.loads(path.read_text())["project"]
            found[project["name"]] = (path.parent, set(project.get("optional-dependencies", ())))
    return found


def _wrong_in(words: list[str]) -> str | None:
    """What is wrong with a command of a `bash` block, which is not run."""
    match words:
        case ["make", *targets]:
            known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
            unknown = [word for word in targets if "=" not in word and word not in known]
            return f"make has no target {unknown[0]}" if unknown else None
        case ["pip", "install", *arguments] | ["python" | "python3", "-m", "pip", *arguments]:
            return next(filter(None, map(_wrong_requirement, arguments)), None)
        case ["qrmi", *_]:
            return "use a console block for qrmi, so that it is run"
        case ["python" | "python3" | "bash", script, *_] if "/" in script:
            return None if (ROOT / script).exists() else f"there is no {script}"
    return None


def _wrong_requirement(word: str) -> str | None:
    match = re.fullmatch(r"([^\[\]<>=~!;@]+)(?:\[(.+)\])?.*", word)
    if not match or word.startswith("-"):
        return None
    name, extras = match[1], set((match[2] or "").split(",")) - {""}
    distributions = _distributions()
    if name.startswith("."):
        folders = {folder.resolve(): extras for folder, extras in distributions.values()}
        known = folders.get((ROOT / name).resolve())
    elif name.startswith("qrmi"):
        known = distributions.get(name, (ROOT, None))[1]
    else:
        return None
    if known is None:
        return f"there is no distribution {name}"
    return f"{name} has no extra {', '.join(extras - known)}" if extras - known else None


def _check_bash(example: Example) -> str | None:
    for line in example.parsed.replace("\\\n", " ").splitlines():
        for command in re.split(r"&&|\|\||;|\|", line):
            words = shlex.split(command, comments=True)
            if words and (wrong := _wrong_in(words)):
                return f"{line.strip()}: {wrong}"
    return None


def _check_json(example: Example) -> str | None:
    try:
        json.loads(example.parsed)
    except ValueError as error:
        return f"not JSON: {error}"
    return None


def _check_toml(example: Example) -> str | None:
    try:
        tomllib.loads(example.parsed)
    except ValueError as error:
        return f"not TOML: {error}"
    return None


class _PyconParser(PythonCodeBlockParser):
    """Blocks of the language `pycon`, as doctests."""

    def __init__(self) -> None:
        super().__init__()
        self.codeblock_parser = CodeBlockParser("pycon", lambda _example: "no line begins with >>>")


_PARSERS = [
    SkipParser(),
    PythonCodeBlockParser(),
    _PyconParser(),
    CodeBlockParser("console", _run_console),
    CodeBlockParser("bash", _check_bash),
    CodeBlockParser("json", _check_json),
    CodeBlockParser("toml", _check_toml),
]
_SLURM_PAGES = "docs/slurm/*.md"

pytest_collect_file = (
    Sybil(
        _PARSERS,
        patterns=["*.md"],
        excludes=[
            "**/CHANGELOG.md",
            "**/_build/**",
            _SLURM_PAGES,
            *([] if RUN_TUTORIALS else ["**/tutorials/**"]),
        ],
        setup=_enter_page,
        teardown=_leave_page,
    )
    + Sybil(
        _PARSERS,
        patterns=[_SLURM_PAGES],
        setup=_enter_slurm_page,
        teardown=_leave_page,
    )
).pytest()
