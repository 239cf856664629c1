"""The integration's settings: one TOML file, in which every key is optional."""

from __future__ import annotations

from qrmi_slurm import trust

TYPE_CHECKING = False  # for type checkers; importing typing takes longer than everything else here
if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[object], bool]

FILE = "/etc/qrmi/slurm.toml"


def _absolute(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/") and "\0" not in value


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 86400


def _delimiter(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _one_of(*words: str) -> Check:
    return lambda value: value in words


PATH = (_absolute, "an absolute path")
SECONDS = (_seconds, "a number of seconds from 1 to 86400")

KEYS: dict[str, tuple[object, tuple[Check, str], str]] = {
    "config": (
        "/etc/qrmi/qrmi_config.json",
        PATH,
        "The resources with their settings, secrets included: for root alone.",
    ),
    "state": ("/var/spool/qrmi-slurm", PATH, "Folder of the records, one a job and restart."),
    "accounting": (
        "/var/log/qrmi-slurm/accounting.jsonl",
        PATH,
        "One line of JSON is appended here for each acquisition.",
    ),
    "log": ("/var/log/qrmi-slurm/qrmi-slurm.log", PATH, "The log of prolog, epilog and sweep."),
    "log_level": (
        "info",
        (
            _one_of("debug", "info", "warning", "error"),
            "one of debug, info, warning, error",
        ),
        "The level of the log: `debug`, `info`, `warning` or `error`.",
    ),
    "slurm_bin": ("/usr/bin", PATH, "Folder of Slurm's commands."),
    "acquire_timeout_seconds": (60, SECONDS, "Seconds to wait for a busy QPU."),
    "prolog_limit_seconds": (
        120,
        SECONDS,
        "Seconds that the prolog may take in all; less than Slurm's `PrologEpilogTimeout`.",
    ),
    "epilog_limit_seconds": (60, SECONDS, "Seconds that the epilog may take."),
    "when_unavailable": (
        "fail",
        (_one_of("fail", "requeue"), "fail or requeue"),
        "The end of a job whose QPU is busy or cannot be reached: `fail` or `requeue`.",
    ),
    "list_delimiter": (
        ",",
        (_delimiter, "text of printable characters"),
        "The separator of the names in `QRMI_JOB_QPU_RESOURCES`; jobs find it in "
        "`QRMI_LIST_DELIMITER`.",
    ),
}
"""Name -> default, check of a value and its words, and meaning."""


class Site:
    """The settings in force: valid ones from the file, defaults for the rest.

    Args:
        values: The values of the file, by key.
        problem: The problem with the file, on one line, or None.

    Attributes:
        config: See `KEYS`, also for the following attributes.
    """

    config: str
    state: str
    accounting: str
    log: str
    log_level: str
    slurm_bin: str
    acquire_timeout_seconds: float
    prolog_limit_seconds: float
    epilog_limit_seconds: float
    when_unavailable: str
    list_delimiter: str

    def __init__(self, values: dict[str, object], problem: str | None = None) -> None:
        problems = [problem] if problem else []
        problems += [
            f"the key {key} is unknown (known: {', '.join(KEYS)})"
            for key in values
            if key not in KEYS
        ]
        for key, (default, (right, words), _) in KEYS.items():
            value = values.get(key, default)
            if not right(value):
                problems.append(f"{key} must be {words}")
                value = default
            setattr(self, key, value)
        self.problem = "; ".join(problems) or None


def load(path: str | None = None) -> Site:
    """Read the settings; if the default file is missing, return the defaults.

    A broken file is reported in `Site.problem`. Its valid keys apply nevertheless, so that all
    programs use the same folder of records. A file that another user could change is not read.

    Args:
        path: The file; `FILE` by default.
    """
    content, problem = _content(path)
    if content is None:
        return Site({}, problem)
    import tomllib

    try:
        site = Site(tomllib.loads(content))
    except tomllib.TOMLDecodeError as error:
        state = _plain_state(content)
        site = Site({"state": state} if state else {}, f"it is not TOML: {error}")
    if site.problem:
        site.problem = f"{path or FILE}: {site.problem}"
    return site


def state_folder(path: str | None = None) -> str:
    """Return `Site.state` of `load`, usually without the cost of parsing TOML.

    Args:
        path: The file; `FILE` by default.
    """
    content, _ = _content(path)
    state = _plain_state(content or "")
    if state is None:
        return load(path).state
    return state or str(KEYS["state"][0])


def _content(path: str | None) -> tuple[str | None, str | None]:
    """Return the text of the file, or None, and the problem with it, or None."""
    file = path or FILE
    if problem := trust.problem(file):
        return None, f"{file} {problem}"
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read(), None
    except FileNotFoundError as error:
        return None, None if file == FILE else f"{file}: {error.strerror}"
    except OSError as error:
        return None, f"{file}: {error.strerror}"
    except UnicodeDecodeError:
        return None, f"{file}: it is not UTF-8 text"


def _plain_state(content: str) -> str | None:
    """Return the value of ``state`` in simple TOML, or "" without one.

    Returns None if a parser is needed: for tables, multi-line strings and the like.
    """
    state = ""
    for line in content.split("\n"):
        line = line.strip(" \t\r")
        if line.startswith("[") or '"""' in line or "'''" in line:
            return None
        key, _, value = line.partition("=")
        if key.strip(" \t\"'") != "state":
            continue
        parts = value.strip(" \t").split('"')
        rest = parts[2].strip(" \t") if len(parts) == 3 else "?"
        plain = parts[0] == "" and (not rest or rest.startswith("#"))
        if (
            "\\" in line
            or state
            or not plain
            or not parts[1].startswith("/")
            or not parts[1].isprintable()
        ):
            return None
        state = parts[1]
    return state
