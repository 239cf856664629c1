"""The shim: the SPANK plugin that adds ``--qpu``, as loaded by plugstack.conf."""

from __future__ import annotations

import datetime
import glob
import os
import re
from collections.abc import Iterator

import attrs

from qrmi_slurm import slurm
from qrmi_slurm.check.finding import Finding, error, ok, warning
from qrmi_slurm.check.programs import in_own_hands
from qrmi_slurm.check.slurm_conf import SlurmConf
from qrmi_slurm.site import Site

ABOUT = "plugstack"
_DEPTH = 8
_LIBRARY = re.compile(r"spank_qrmi\w*\.so")


@attrs.frozen
class Line:
    """A line of plugstack.conf that loads a plugin.

    Args:
        file: The file that contains the line.
        required: True if a failure of the plugin fails the job.
        library: The plugin's file.
        arguments: The arguments of the plugin.
    """

    file: str
    required: bool
    library: str
    arguments: list[str]

    @property
    def is_published(self) -> bool:
        """True for the published plugin, which reads qrmi_config.json itself."""
        return any(word.endswith(".json") for word in self.arguments)


def lines(conf: SlurmConf) -> list[Line]:
    """Return the lines that load the shim, or the published plugin with the same name."""
    path = conf.get("PlugStackConfig")
    found = _read(path, conf.get("PluginDir"), _DEPTH) if path else []
    return [line for line in found if _LIBRARY.fullmatch(os.path.basename(line.library))]


def _read(path: str, plugins: str, depth: int) -> list[Line]:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except OSError:
        return []  # like Slurm
    found: list[Line] = []
    for words in (line.partition("#")[0].split() for line in text.splitlines()):
        match words:
            case ["include", pattern] if depth:
                for file in sorted(glob.glob(os.path.join(os.path.dirname(path), pattern))):
                    found += _read(file, plugins, depth - 1)
            case ["required" | "optional" as kind, library, *arguments]:
                library = os.path.join(plugins, library)
                found.append(Line(path, kind == "required", library, arguments))
    return found


def shim(site: Site, found: list[Line]) -> Iterator[Finding]:
    """Check the lines that load the shim.

    Args:
        site: The integration's settings.
        found: The result of `lines`.
    """
    ours = [line for line in found if not line.is_published]
    for line in found:
        if line.is_published:
            yield error(
                ABOUT,
                f"{line.file} loads the published plugin {line.library}, which acquires too",
                "remove its line, and restart the slurmds",
            )
    if not ours:
        yield ok(ABOUT, "the shim is not in use: users write --licenses or --gres, and not --qpu")
        return
    if len(ours) > 1:
        files = ", ".join(line.file for line in ours)
        yield error(ABOUT, f"the shim is loaded {len(ours)} times ({files})", "keep one line")
    for line in ours:
        yield from _line(line)
    yield from _loads(site, ours[0])
    yield from _since(site, ours)


def _line(line: Line) -> Iterator[Finding]:
    if not line.required:
        yield error(
            ABOUT,
            f"the shim is optional in {line.file}: a job runs without a QPU that is not acquired",
            "write required",
        )
    wrapper = line.arguments[0] if line.arguments else ""
    if not os.access(wrapper, os.X_OK) or not wrapper.startswith("/"):
        yield error(
            ABOUT,
            f"the shim is to start {wrapper or 'nothing'}, which cannot be run",
            "name the absolute path of the script qrmi-slurm that `qrmi-slurm setup` writes",
        )
    else:
        yield from in_own_hands(ABOUT, wrapper)
    if os.path.exists(line.library):
        yield from in_own_hands(ABOUT, line.library)
    else:
        yield error(ABOUT, f"{line.library} does not exist", "build it: qrmi-slurm build-shim")


def _loads(site: Site, line: Line) -> Iterator[Finding]:
    """Check that Slurm loads the plugin, which must have been built for Slurm's version."""
    try:
        text = slurm.run(site.slurm_bin, "srun", "--help")
    except slurm.SlurmError as failure:
        text, reason = "", str(failure)
    else:
        reason = "srun --help has no --qpu"
    if "--qpu" in text:
        yield ok(ABOUT, f"srun loads {line.library}")
    else:
        yield error(
            ABOUT,
            f"srun does not load {line.library}: {reason}",
            "build it again for this version of Slurm: qrmi-slurm build-shim",
        )


def _since(site: Site, ours: list[Line]) -> Iterator[Finding]:
    """Check that slurmd started after the plugin, since it searches for prologs only once."""
    files = {path for line in ours for path in (line.file, line.library) if os.path.exists(path)}
    changed = max((os.stat(path).st_mtime for path in files), default=0.0)
    try:
        shown = slurm.run(site.slurm_bin, "scontrol", "show", "node", "-o")
    except slurm.SlurmError:
        return  # slurm.conf could be read, so only a hint is lost
    before = [
        node
        for node, start in re.findall(r"NodeName=(\S+) .*?SlurmdStartTime=(\S+)", shown)
        if _seconds(start) < int(changed)  # Slurm prints whole seconds
    ]
    if before:
        yield warning(
            ABOUT,
            f"slurmd of {', '.join(before)} was started before the shim was installed or changed",
            "restart it: until then its jobs acquire nothing there",
        )


def _seconds(text: str) -> float:
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return float("inf")  # not printed
