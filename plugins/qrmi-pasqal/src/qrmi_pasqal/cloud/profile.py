"""The user's file of credentials, ``.pasqal/config``, which CUDA-Q and other clients read too."""

from __future__ import annotations

import logging
import re
import string
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from qrmi_core.plugin import ConfigError, home_folder

_log = logging.getLogger(__name__)

_MALFORMED = re.compile(r"(?<!\$)(\$\$)*\$\{(?![A-Za-z0-9_]+\})")


class _Template(string.Template):
    """A path with variables, whose names may begin with a digit."""

    idpattern = "[A-Za-z0-9_]+"
    flags = re.ASCII


def load(
    roots: Collection[str], environment: Mapping[str, str], known: Collection[str]
) -> dict[str, str]:
    """Read the first file that exists; files are not merged, and may all be missing.

    Args:
        roots: The folders that may hold ``.pasqal/config``, in order, not yet expanded.
        environment: The variables for the expansion.
        known: The known keys; any other is left out, with a warning.

    Raises:
        ConfigError: A root cannot be expanded.
    """
    for root in roots:
        path = Path(expand(root, environment), ".pasqal", "config")
        try:
            text = path.read_bytes().decode()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            _log.warning("%s is passed over: %s", path, why)
            continue
        values, strange = parse(text, known)
        if strange:
            # Not the keys: a line may be half a secret.
            numbers = ", ".join(map(str, strange))
            _log.warning(
                "%s: %s ignored; the keys are %s",
                path,
                f"lines {numbers} are" if len(strange) > 1 else f"line {numbers} is",
                ", ".join(sorted(known)),
            )
        return values
    return {}


def parse(text: str, known: Collection[str]) -> tuple[dict[str, str], list[int]]:
    """Return the values of a file by key, and the numbers of the lines with another key.

    ``key = value`` in each line, split at the first ``=``; keys in any case. A line without one,
    and one that begins with ``#`` or ``;``, is skipped. The last value of a key counts, and an
    empty one is ignored. One pair of equal quotes around a whole value is taken off; there are no
    escapes, and no comments behind values.
    """
    values: dict[str, str] = {}
    strange = []
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or line.startswith(("#", ";")):
            continue
        if key.lower() not in known:
            strange.append(number)
            continue
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1].strip()
        values[key.lower()] = value
    return {key: value for key, value in values.items() if value}, strange


def expand(path: str, environment: Mapping[str, str]) -> str:
    """Put the home folder for a leading ``~``, and variables for ``$NAME`` and ``${NAME}``.

    A variable that is not set is empty, ``$$`` is a dollar sign, and one before anything else
    stands for itself; so does the ``~`` of ``~other``.

    Raises:
        ConfigError: A brace is not closed, or does not hold the name of a variable, or the user
            has no home folder.
    """
    if _MALFORMED.search(path):
        raise ConfigError(f"malformed environment variable in path {path!r}: write ${{NAME}}")
    home, rest = "", path
    if path == "~" or path.startswith("~/"):
        home, rest = str(home_folder(environment)), path[1:]
    return home + _Template(rest).safe_substitute(defaultdict(str, environment))
