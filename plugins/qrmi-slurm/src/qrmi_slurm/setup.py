"""Generation of the files for Slurm: scripts, Lua code, and lines for its configuration."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

import attrs

from qrmi_core import ConfigError, QrmiError
from qrmi_core.plugin import atomic_output
from qrmi_slurm import site
from qrmi_slurm.log import Secrets
from qrmi_slurm.resources import load_config

FOLDER = "/etc/qrmi/slurm"

# Template, file, mode, and the verb of a wrapper.
_FILES = (
    ("hook", "prolog", 0o755, "prolog "),
    ("wrapper", "task-prolog", 0o755, "task-prolog "),
    ("hook", "epilog", 0o755, "epilog "),
    ("wrapper", "qrmi-slurm", 0o755, ""),
    ("qrmi.lua", "qrmi.lua", 0o644, ""),
    ("job_submit.lua", "job_submit.lua", 0o644, ""),
    ("slurm.conf", "slurm.conf.sample", 0o644, ""),
    ("plugstack.conf", "plugstack.conf.sample", 0o644, ""),
    ("qrmi-slurm-sweep.service", "qrmi-slurm-sweep.service", 0o644, ""),
    ("qrmi-slurm-sweep.timer", "qrmi-slurm-sweep.timer", 0o644, ""),
)
_MARK = re.compile(r"Written by qrmi-slurm setup; change a copy instead\. ([0-9a-f]{16})")
# a subset of what slurm.conf accepts without quotes
_FOLDER = re.compile(r"[A-Za-z0-9_.+/-]+")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""The names that Slurm accepts for licences, and in words of a comment."""


def main(arguments: list[str], settings: str | None) -> int:
    """Run the verb `setup` and return its exit status.

    Args:
        arguments: The arguments after the verb.
        settings: The file of the integration's settings, by default `site.FILE`.
    """
    parser = argparse.ArgumentParser(
        prog="qrmi-slurm setup", description="Write the scripts and samples for slurm.conf."
    )
    parser.add_argument("--folder", default=FOLDER, help=f"the folder ({FOLDER})", type=Path)
    folder = parser.parse_args(arguments).folder.absolute()
    try:
        report = install(folder, settings or site.FILE)
    except (QrmiError, OSError) as error:
        print(f"qrmi-slurm setup: {error}", file=sys.stderr)
        return 1
    print("\n".join(report.lines(folder)))
    return 1 if report.foreign else 0


@attrs.frozen
class Report:
    """The outcome for each file.

    Args:
        written: New and updated files.
        kept: Files that were up to date.
        foreign: Files that others wrote or changed, which were not touched.
        remarks: Remarks on the site's configuration.
    """

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    foreign: tuple[Path, ...]
    remarks: tuple[str, ...]

    def lines(self, folder: Path) -> list[str]:
        """Return the lines of the report, with the remaining steps."""
        return [
            *(f"written: {path}" for path in self.written),
            *(f"up to date: {path}" for path in self.kept),
            *(
                f"left alone, since it was not written by setup or was changed since: {path} "
                "(move it away and run setup again)"
                for path in self.foreign
            ),
            *self.remarks,
            "left to do:",
            f"  add the lines of {folder}/slurm.conf.sample to slurm.conf, on every host",
            f"  copy {folder}/job_submit.lua beside slurm.conf, or call {folder}/qrmi.lua from the "
            "existing one",
            f"  for --qpu: qrmi-slurm build-shim --output {folder}/spank_qrmi.so, and the line of",
            f"  {folder}/plugstack.conf.sample instead of Prolog, TaskProlog and Epilog",
            "  scontrol reconfigure; with the SPANK plugin restart slurmd",
            f"  systemctl enable --now {folder}/qrmi-slurm-sweep.service "
            f"{folder}/qrmi-slurm-sweep.timer",
            "  qrmi-slurm check",
        ]


def install(folder: Path, settings: str, *, python: str = sys.executable) -> Report:
    """Write the files of a site; another run updates its own files.

    Args:
        folder: The folder to write to; created if it is missing.
        settings: The integration's settings, see `site`.
        python: The interpreter that the scripts start, by an absolute path.

    Raises:
        ConfigError: The settings or the site's configuration of resources are wrong, or the folder
            cannot be named in slurm.conf.
        OSError: A file cannot be written.
    """
    folder = folder.absolute()
    if not _FOLDER.fullmatch(str(folder)):
        raise ConfigError(
            f"{folder}: slurm.conf cannot name such a folder; use letters, digits and _ . + - /"
        )
    settings = str(Path(settings).absolute())
    found = site.load(settings)
    if found.problem:
        raise ConfigError(found.problem)
    names = [entry.name for entry in load_config(found, Secrets()).resources]
    odd = [name for name in names if not NAME.fullmatch(name)]
    usable = [name for name in names if name not in odd]
    values = {
        "PYTHON": shlex.quote(python),
        "SETTINGS": shlex.quote(settings),
        "FOLDER": str(folder),
        "QRMI_LUA": _lua(str(folder / "qrmi.lua")),
        "NAMES": ", ".join(_lua(name) for name in usable),
        "START_SECONDS": f"{found.prolog_limit_seconds + 15:.0f}",
        "LICENSES": ",".join(f"{name}:1" for name in usable),
    }
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    written, kept, foreign = [], [], []
    for template, name, mode, verb in _FILES:
        path = folder / name
        content = _filled(template, {**values, "VERB": verb})
        former = path.read_text(errors="replace") if path.exists() else None
        if former == content:
            kept.append(path)
        elif former is not None and not _is_ours(former):
            foreign.append(path)
            continue
        else:
            with atomic_output(path) as stream:
                stream.write(content.encode())
            written.append(path)
        path.chmod(mode)
    return Report(tuple(written), tuple(kept), tuple(foreign), tuple(_remarks(found.config, odd)))


def _remarks(config: str, odd: Iterable[str]) -> Iterable[str]:
    for name in odd:
        yield (
            f"{config}: {name!r} cannot be the name of a licence, so that jobs cannot request it; "
            "use letters, digits, _ . and -"
        )


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Return a template filled with values, and a mark that reveals later changes."""
    text = (resources.files("qrmi_slurm") / "files" / template).read_text()
    text = re.sub(r"@([A-Z_]+)@", lambda found: values.get(found[1], found[0]), text)
    return text.replace(
        "@MARK@", f"Written by qrmi-slurm setup; change a copy instead. {_digest(text)}"
    )


def _is_ours(text: str) -> bool:
    """Return True if setup, of any release, wrote the text and nobody changed it."""
    mark = _MARK.search(text)
    return mark is not None and _digest(text.replace(mark[0], "@MARK@")) == mark[1]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _lua(text: str) -> str:
    # For the characters of names and paths, a literal of JSON is one of Lua.
    return json.dumps(text, ensure_ascii=False)
