"""The `qrmi-slurm` command.

Slurm runs it for every job and every task, so each verb imports only the modules it needs.
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
  check        check the installation on this node (check --help)
  sweep        release the QPUs that ended jobs still hold (sweep --help)
  build-shim   compile the plugin that brings --qpu (build-shim --help)

Started by Slurm:
  prolog       acquire the QPUs of the job: [--qpu=NAMES], and words qpu=NAMES of its comment
  task-prolog  print the variables for the job's tasks
  epilog       release the QPUs
  (with --spank for the SPANK plugin, which logs no values)

--settings FILE is /etc/qrmi/slurm.toml by default.
"""


def main(arguments: list[str]) -> int:
    """Run one verb and return its exit status.

    Args:
        arguments: The arguments of the command line.
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
    sys.stderr.write(f"qrmi-slurm: unknown verb {verb!r}\n\n{HELP}" if verb else HELP)
    return USAGE


def run() -> None:
    """Run the command as a program."""
    sys.exit(main(sys.argv[1:]))


def _settings(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the file given by ``--settings``, which precedes the verb, and the other arguments."""
    match arguments:
        case ["--settings", path, *rest]:
            return path, rest
        case [first, *rest] if first.startswith("--settings="):
            return first.partition("=")[2], rest
    return None, arguments


def _prolog(settings: str | None, arguments: list[str]) -> int:
    """Acquire the QPUs; always return 0, since any other status drains the node."""
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
    """Release the QPUs; always return 0, since any other status drains the node."""
    try:
        from qrmi_slurm import keys, site, words

        job_id = os.environ.get("SLURM_JOB_ID", "")
        if job_id.isdecimal():
            state, first = site.state_folder(settings), words.on_first_node(os.environ)
            has_record = os.path.lexists(f"{state}/{job_id}")
            try:
                if (
                    first or not has_record
                ):  # otherwise the first node does so, in the shared folder
                    keys.remove(state, job_id)
            finally:
                if has_record:
                    from qrmi_slurm import epilog

                    epilog.run(settings)
    except BaseException as error:
        _say("epilog", error)
    return 0


def _say(verb: str, error: BaseException) -> None:
    """Write the type of an error to slurmd's log; the message may contain a secret."""
    sys.stderr.write(f"qrmi-slurm {verb}: {type(error).__name__}\n")
