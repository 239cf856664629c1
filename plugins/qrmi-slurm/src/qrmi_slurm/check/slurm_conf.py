"""Slurm's configuration, as the running controller reports it."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterator

import attrs

from qrmi_slurm import slurm
from qrmi_slurm.check.finding import Finding, error, ok, warning
from qrmi_slurm.check.programs import HOOKS, look_at_hook
from qrmi_slurm.site import Site

ABOUT = "slurm.conf"
TRIED = (22, 5, 8)
"""The version of Slurm with which the integration was tested."""
_MARGIN_SECONDS = 15.0
_NO_LIMIT = {"", "65534", "65535", "4294967294", "4294967295", "infinite", "unlimited"}


@attrs.frozen
class SlurmConf:
    """The lines of ``scontrol show config``.

    Args:
        values: Name -> value, empty where Slurm writes ``(null)``.
    """

    values: dict[str, str]

    @classmethod
    def ask(cls, site: Site) -> SlurmConf:
        """Request the configuration from the controller.

        Raises:
            SlurmError: The controller does not respond.
        """
        values: dict[str, str] = {}
        for line in slurm.run(site.slurm_bin, "scontrol", "show", "config").splitlines():
            name, equals, value = line.partition("=")
            if equals:  # for repeated names, the first one is Slurm's own
                values.setdefault(name.strip(), re.sub(r"^\(null\)$", "", value.strip()))
        return cls(values)

    def get(self, name: str) -> str:
        """Return the value of a parameter, empty if it is not set."""
        return self.values.get(name, "")

    def words(self, name: str) -> set[str]:
        """Return the words of a list, in lower case."""
        return {word.strip().lower() for word in self.get(name).split(",")} - {""}

    def seconds(self, name: str) -> float | None:
        """Return a duration in seconds, or None for no limit."""
        number = self.get(name).removesuffix("sec").strip()
        return None if number.lower() in _NO_LIMIT else float(number)

    def programs(self, name: str) -> list[str]:
        """Return the programs of a hook; later versions of Slurm allow several."""
        patterns = [self.get(name), *(self.values[key] for key in self._numbered(name))]
        return [
            path
            for pattern in patterns
            if pattern
            for path in sorted(glob.glob(pattern)) or [pattern]
        ]

    def _numbered(self, name: str) -> list[str]:
        return [key for key in self.values if re.fullmatch(rf"{name}\[\d+\]", key)]

    @property
    def slurmd_uid(self) -> int:
        """The id of the user who runs prolog and epilog."""
        found = re.search(r"\((\d+)\)", self.get("SlurmdUser"))
        return int(found[1]) if found else 0


def version(conf: SlurmConf) -> Iterator[Finding]:
    """Check that the integration was tested with this version."""
    text = conf.get("SLURM_VERSION")
    numbers = tuple(int(number) for number in re.findall(r"\d+", text)[:3])
    tried = "{}.{:02}.{}".format(*TRIED)
    if numbers == TRIED:
        yield ok("versions", f"Slurm {text}")
    elif numbers < TRIED:
        yield warning(
            "versions",
            f"Slurm {text or 'of an unknown version'} is older than {tried}",
            f"try all that you need before users do; {tried} is the oldest that was tested",
        )
    else:
        yield warning(
            "versions",
            f"Slurm {text} is newer than {tried}, which was tested",
            "try all that you need before users do (docs/slurm/admin.md has a list)",
        )


def hooks(conf: SlurmConf, settings: str | None, *, shim: bool) -> Iterator[Finding]:
    """Check the programs that Slurm starts.

    Args:
        conf: Slurm's configuration.
        settings: The file of the integration's settings, None for the default one.
        shim: True if the shim is in use, which itself starts the same programs.
    """
    ours: list[str] = []
    for name, verb in HOOKS.items():
        programs = conf.programs(name)
        found = [look_at_hook(name, path, settings, conf.slurmd_uid) for path in programs]
        for findings, is_ours in found:
            yield from findings
            if is_ours:
                ours.append(name)
        if name in ours or shim:
            continue
        yield error(
            ABOUT,
            f"{name} is {', '.join(programs) or 'not set'}, and not the script that runs {verb}",
            "take the line from slurm.conf.sample, which `qrmi-slurm setup` writes, and run "
            "`scontrol reconfigure`",
        )
    if shim and ours:
        yield warning(
            ABOUT,
            f"both the shim and {', '.join(ours)} act, so that each job pays for both",
            "keep one: remove these lines, or the shim's line of plugstack.conf",
        )
    levels = {key: conf.get(key) for key in ("SlurmdDebug", "SlurmdSyslogDebug")}
    verbose = [f"{key}={level}" for key, level in levels.items() if level.startswith("debug")]
    if "TaskProlog" in ours and not shim and verbose:
        yield warning(
            ABOUT,
            f"with {', '.join(verbose)} slurmd logs the acquisition tokens that task-prolog sets",
            "set it to info or less after your search for a fault, or use the SPANK plugin",
        )
    if ours and not shim and (kinds := conf.words("PrEpPlugins")) and "prep/script" not in kinds:
        yield error(
            ABOUT,
            f"PrEpPlugins is {conf.get('PrEpPlugins')}, so that Slurm starts no script",
            "add prep/script",
        )


def flags(conf: SlurmConf) -> Iterator[Finding]:
    """Check that the prolog runs at the right time, and that tasks wait for it."""
    flags = conf.words("PrologFlags")
    if not flags & {"alloc", "contain", "x11"}:
        yield error(
            ABOUT,
            "without PrologFlags=Alloc the prolog runs with a node's first step, which of a job of "
            "several nodes may be too late",
            "add PrologFlags=Alloc, and restart slurmctld and the slurmds",
        )
    elif "nohold" in flags:
        yield error(
            ABOUT,
            "with PrologFlags=NoHold tasks start before the prolog has acquired their QPU",
            "remove NoHold",
        )
    else:
        yield ok(ABOUT, f"PrologFlags {conf.get('PrologFlags')}: tasks wait for the prolog")


def limits(conf: SlurmConf, site: Site) -> Iterator[Finding]:
    """Check that Slurm's time limits cover those of prolog and epilog."""
    limit = conf.seconds("PrologEpilogTimeout")
    longest = max(site.prolog_limit_seconds, site.epilog_limit_seconds)
    if limit is not None and limit < longest + _MARGIN_SECONDS:
        yield error(
            ABOUT,
            f"PrologEpilogTimeout {limit:g} s: a prolog or epilog may take up to {longest:g} s, "
            "and one that is ended before fails its job, and with the shim drains the node",
            f"set it to {longest + _MARGIN_SECONDS:g} or more, or prolog_limit_seconds and "
            "epilog_limit_seconds of slurm.toml to less",
        )
    else:
        shown = "not set" if limit is None else f"{limit:g} s"
        yield ok(ABOUT, f"PrologEpilogTimeout {shown}, prolog and epilog take up to {longest:g} s")
    start = conf.seconds("BatchStartTimeout")
    if start is not None and start < site.prolog_limit_seconds:
        yield warning(
            ABOUT,
            f"BatchStartTimeout {start:g} s: a batch job whose prolog takes longer, for a busy "
            "QPU, may be taken for lost",
            f"set it to {site.prolog_limit_seconds + _MARGIN_SECONDS:g}",
        )
    if (kill := conf.seconds("UnkillableStepTimeout")) is not None:
        yield ok(
            ABOUT, f"UnkillableStepTimeout {kill:g} s does not count: nothing is released in a step"
        )
    if site.when_unavailable == "requeue" and conf.get("JobRequeue") == "0":
        yield error(
            ABOUT,
            "JobRequeue=0: Slurm requeues no job, though when_unavailable of slurm.toml is requeue",
            'set JobRequeue=1, or when_unavailable = "fail"',
        )


def licences(conf: SlurmConf, site: Site, names: Collection[str]) -> Iterator[Finding]:
    """Check that Slurm counts each QPU, under the name that users write.

    Args:
        conf: Slurm's configuration.
        site: The integration's settings.
        names: The names of the entries of qrmi_config.json.
    """
    lua = "lua" in conf.words("JobSubmitPlugins")
    if lua:
        yield from _lua(conf, set(names))
    else:
        yield warning(
            ABOUT,
            "without JobSubmitPlugins=lua Slurm turns no request into a licence, and accepts jobs "
            "with unknown names",
            "add it, with the job_submit.lua that `qrmi-slurm setup` writes",
        )
    try:
        shown = slurm.run(site.slurm_bin, "scontrol", "show", "licenses", "-o")
    except slurm.SlurmError as failure:
        yield error(ABOUT, f"the licences cannot be read: {failure}", "see slurmctld's log")
        return
    counts = dict(re.findall(r"LicenseName=(\S+) Total=(\d+)", shown))
    missing = [name for name in names if counts.get(name, "0") == "0"]
    for name in names:
        if name not in missing:
            yield ok(ABOUT, f"licence {name}, for {counts[name]} at a time")
    if missing:
        words = f"no licence for {', '.join(missing)}: "
        remedy = (
            "add Licenses="
            + ",".join(f"{name}:1" for name in missing)
            + ", and run `scontrol reconfigure`"
        )
        if lua:
            yield error(ABOUT, words + "each job that asks for it is refused", remedy)
        else:
            yield warning(ABOUT, words + "its jobs are not counted and meet in the prolog", remedy)
    if "qpu" in conf.words("GresTypes"):
        yield ok(ABOUT, "GresTypes qpu: --gres=qpu:NAME is understood")
    else:
        yield ok(
            ABOUT, "GresTypes has no qpu: users write --licenses=NAME, and not --gres=qpu:NAME"
        )


def _lua(conf: SlurmConf, names: set[str]) -> Iterator[Finding]:
    """Check that the controller's script calls ours, with the same names."""
    path = os.path.join(os.path.dirname(conf.get("SLURM_CONF")), "job_submit.lua")
    again = "run `qrmi-slurm setup` again, there where slurmctld runs"
    try:
        text = _read(path)
        called = re.search(r"""dofile\(["'](/.+?)["']\)""", text)
        ours = _read(called[1]) if called else text
    except FileNotFoundError as failure:
        # It is the controller's file, which may be on another machine.
        yield ok(ABOUT, f"JobSubmitPlugins lua; {failure.filename} is not on this machine")
        return
    except OSError as failure:
        yield error(ABOUT, f"{failure.filename}: {failure.strerror}", again)
        return
    known = re.search(r"^local known = \{(.*)\}$", ours, re.MULTILINE)
    if known is None:
        yield error(
            ABOUT,
            f"{path} does not call qrmi.lua, so that requests for QPUs become no licences",
            "call it as the job_submit.lua does that `qrmi-slurm setup` writes",
        )
        return
    there = set(re.findall(r'"(.*?)"', known[1]))
    if there == names or not names:  # an empty list is reported elsewhere
        yield ok(ABOUT, f"{path} turns a request for a QPU into a licence")
    else:
        differs = [f"lacks {', '.join(sorted(names - there))}"] if names - there else []
        differs += [f"still has {', '.join(sorted(there - names))}"] if there - names else []
        yield error(ABOUT, f"{path} {' and '.join(differs)}", again)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()
