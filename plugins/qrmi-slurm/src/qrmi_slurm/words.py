"""What is read from Slurm's texts, with next to nothing imported."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it; importing typing takes longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OPTION = "SLURM_SPANK__SLURM_SPANK_OPTION_spank_qrmi_qpu"
"""Where a task of a job finds the ``--qpu`` of the job."""


def wanted(option: str | None, comment: str) -> list[str]:
    """The names of the QPUs that a job asked for, each once, in the order given.

    Args:
        option: The value of ``--qpu``, which counts before a comment; None without it.
        comment: The job's comment, of which each word ``qpu=NAMES`` counts.
    """
    if option is not None:
        return _names([option])
    return _names(word[4:] for word in comment.split() if word.startswith("qpu="))


def _names(lists: Iterable[str]) -> list[str]:
    names = (name.strip() for text in lists for name in text.split(","))
    return list(dict.fromkeys(name for name in names if name))


def first_host(nodes: str) -> str:
    """The first host of a list as Slurm writes it, such as ``n3`` of ``n[3-5,7],login``."""
    host = ""
    rest = nodes
    while rest:
        plain, bracket, rest = rest.partition("[")
        plain, comma, _ = plain.partition(",")
        host += plain
        if comma or not bracket:
            break
        ranges, _, rest = rest.partition("]")
        host += ranges.partition(",")[0].partition("-")[0]
    return host


def on_first_node(environment: Mapping[str, str]) -> bool:
    """Whether this node is the first of the job, which is the one that acts for all of them."""
    nodes = environment.get("SLURM_JOB_NODELIST") or environment.get("SLURM_NODELIST", "")
    node = environment.get("SLURMD_NODENAME", "")
    return not nodes or not node or first_host(nodes) == node
