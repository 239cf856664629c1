"""The `qrmi-slurm` command.

Slurm runs it for every job and every task, so what it imports is decided by the verb.
"""

from __future__ import annotations

import os
import sys

USAGE = 2

_MODULES = {
    "sweep": "sweep",
    "setup": "setup",
    "check": "check",
    "build-shim": "build_shim",
}
"""The verbs of administrators: each module has ``main(arguments, settings_file)``."""

_SPANK = "--spank"

HELP = """\
usage: qrmi-slurm [--settings FILE] VERB [ARGUMENTS]

For administrators:
  setup        write the scripts and samples for slurm.conf (setup --help)
  check        look whether all is in place (check --help)
  sweep        release what ended jobs have left behind (sweep --help)
  build-shim   compile the plugin that brings --qpu (build-shim --help)

Started by Slurm:
  prolog       acquire what the job asks for: [--qpu=NAMES], and words qpu=NAMES of its comment
  task-prolog  print what the job's tasks get to see
  epilog       release it
  (with --spank for the SPANK plugin, which logs no values)

--settings FILE is /etc/qrmi/slurm.toml by default.
"""


def main(arguments: list[str]) -> int:
    """Run one verb and give its exit status.

    Args:
        arguments: Those of the command line.
    """
    settings, rest = _settings(arguments)
    verb, *rest = rest or [""]
    match verb:
        case "task-prolog":
            from qrmi_slurm import task_prolog

            return task_prolog.run(settings, spank=_SPANK in rest)
        case "prolog":
            return _prolog(settings, rest)
        case "epilog":
            return _epilog(settings)
        case verb if verb in _MODULES:
            import importlib

            module = importlib.import_module(f"qrmi_slurm.{_MODULES[verb]}")
            return int(module.main(rest, settings))
        case "--help" | "-h" | "help":
            sys.stdout.write(HELP)
            return 0
        case "--version":
            from importlib.metadata import version

            print(f"qrmi-slurm {version('qrmi-slurm')}")
            return 0
    sys.stderr.write(f"qrmi-slurm: there is no verb {verb!r}\n\n{HELP}" if verb else HELP)
    return USAGE


def run() -> None:
    """Run the command as a program."""
    sys.exit(main(sys.argv[1:]))


def _settings(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The file of ``--settings``, which comes before the verb, and the rest."""
    match arguments:
        case ["--settings", path, *rest]:
            return path, rest
        case [first, *rest] if first.startswith("--settings="):
            return first.partition("=")[2], rest
    return None, arguments


def _prolog(settings: str | None, arguments: list[str]) -> int:
    """Acquire; 0 whatever happens, since any other status drains the node."""
    try:
        from qrmi_slurm import words

        option = next((word[6:] for word in arguments if word.startswith("--qpu=")), None)
        names = words.wanted(option, os.environ.get("SLURM_JOB_COMMENT", ""))
        spank = _SPANK in arguments
        if names is not None:
            if words.on_first_node(os.environ):
                from qrmi_slurm import prolog

                prolog.run(settings, names, spank=spank)
            elif not spank:
                from qrmi_slurm import prolog

                prolog.hand_on_keys(settings, names)
    except BaseException as error:
        _say("prolog", error)
    return 0


def _epilog(settings: str | None) -> int:
    """Release; 0 whatever happens, since any other status drains the node."""
    try:
        from qrmi_slurm import keys, site, words

        job_id = os.environ.get("SLURM_JOB_ID", "")
        if job_id.isdecimal():
            state, first = site.state_folder(settings), words.on_first_node(os.environ)
            has_record = os.path.lexists(f"{state}/{job_id}")
            try:
                if first or not has_record:  # else the first node does it, which shares the folder
                    keys.remove(state, job_id)
            finally:
                if has_record:
                    from qrmi_slurm import epilog

                    epilog.run(settings)
    except BaseException as error:
        _say("epilog", error)
    return 0


def _say(verb: str, error: BaseException) -> None:
    """Into the log of slurmd; what the error says may hold a secret, so only its kind."""
    sys.stderr.write(f"qrmi-slurm {verb}: {type(error).__name__}\n")
