"""The command `qrmi-c`: where the library's files are, copying them, and checking them."""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import qrmi_c

LIBRARY = "libqrmi.so"
INTERPRETER = "libqrmi.python"
"""Beside the library: the path of the Python that it starts."""

_OPTIONS = {
    "--cflags": "flags for the compiler",
    "--libs": "flags for the linker, with which programs find the library",
    "--static-libs": "flags for the linker, for the static library",
    "--includedir": "folder of qrmi.h",
    "--libdir": "folder of libqrmi.so and libqrmi.a",
    "--pkgconfigdir": "folder for PKG_CONFIG_PATH",
    "--cmakedir": "folder for CMake's qrmi_DIR",
    "--rustdir": "folder of the crate qrmi",
}


def root() -> Path:
    """Return the folder with the files of the library.

    Raises:
        FileNotFoundError: They are not installed.
    """
    for folder in map(Path, qrmi_c.__path__):
        if (folder / "lib" / LIBRARY).exists():
            return folder
    raise FileNotFoundError("qrmi-c has no library; pip install --force-reinstall qrmi-c")


def flags(option: str) -> str:
    """Return the output of an option."""
    folder = root()
    lib = folder / "lib"
    return {
        "--cflags": f"-I{folder / 'include'}",
        "--libs": f"-L{lib} -Wl,-rpath,{lib} -lqrmi",
        "--static-libs": f"{lib / 'libqrmi.a'} -pthread",
        "--includedir": str(folder / "include"),
        "--libdir": str(lib),
        "--pkgconfigdir": str(lib / "pkgconfig"),
        "--cmakedir": str(lib / "cmake/qrmi"),
        "--rustdir": str(folder / "rust"),
    }[option]


def install(prefix: Path) -> list[Path]:
    """Copy header, libraries, pkg-config and CMake files, and name this Python beside them.

    A library that programs are using is replaced as a whole.

    Args:
        prefix: The folder that has, or gets, ``include`` and ``lib``.

    Returns:
        The files, as they are installed.
    """
    made = []
    folder = root()
    for source in sorted([*folder.glob("include/**/*"), *folder.glob("lib/**/*")]):
        if source.is_dir():
            continue
        target = prefix / source.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(source, partial)
        partial.chmod(0o755 if target.suffix == ".so" else 0o644)
        partial.replace(target)
        made.append(target)
    named = prefix / "lib" / INTERPRETER
    named.write_text(f"{sys.executable}\n", encoding="utf-8")
    return [*made, named]


def problems(library: Path) -> Iterator[str]:
    """Yield the reasons why a library cannot be used, or should not be by daemons of root."""
    os.environ["RUST_LOG"] = "off"
    try:
        loaded = ctypes.CDLL(str(library))
    except OSError as error:
        yield f"the library cannot be loaded: {error}"
        return
    loaded.qrmi_get_last_error.restype = ctypes.c_void_p
    # A name that no plugin has: the helper must be started to say so.
    number = ctypes.c_int()
    if loaded.qrmi_config_resource_type_from_str(b"no such type", ctypes.byref(number)) != 109:
        address = loaded.qrmi_get_last_error()
        reason = ctypes.string_at(address).decode(errors="replace") if address else "no reason"
        yield f"the library does not work: {reason}"
    named = library.parent / INTERPRETER
    files = [library, *([named] if named.exists() else [])]
    for path in dict.fromkeys(part for file in files for part in (file, *file.resolve().parents)):
        mode = path.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            yield f"everybody can change {path}, and with it what daemons of root run"


def _check(library: Path) -> int:
    from qrmi_core.plugin import installed

    found = list(problems(library))
    for problem in found:
        print(f"qrmi-c: {problem}", file=sys.stderr)
    if not found:
        types = ", ".join(info.name for info in installed()) or "none"
        print(f"{library} works; resource types of this Python: {types}")
    return int(bool(found))


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="qrmi-c", description="libqrmi, the C library of QRMI")
    for option, text in _OPTIONS.items():
        parser.add_argument(
            option, action="append_const", const=option, dest="wanted", help=f"print the {text}"
        )
    commands = parser.add_subparsers(dest="command", metavar="command")
    installing = commands.add_parser("install", help="copy the library's files to a folder")
    installing.add_argument("--prefix", type=Path, required=True, help="such as /usr/local")
    checking = commands.add_parser("check", help="check that the library works")
    checking.add_argument("--library", type=Path, help="another copy of libqrmi.so")
    given = parser.parse_args(arguments)
    try:
        match given.command:
            case "install":
                print(*install(given.prefix), sep="\n")
                return 0
            case "check":
                return _check(given.library or root() / "lib" / LIBRARY)
        if not given.wanted:
            parser.print_usage(sys.stderr)
            return 2
        print(*map(flags, given.wanted))
    except OSError as error:
        print(f"qrmi-c: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run())
