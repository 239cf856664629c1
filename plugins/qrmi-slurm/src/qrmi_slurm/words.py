"""Parsers of Slurm's texts, with few imports."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers see it; importing typing takes longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Mapping

OPTION = "SLURM_SPANK__SLURM_SPANK_OPTION_spank_qrmi_qpu"
"""The variable of a task with the ``--qpu`` of its job."""


def wanted(option: str | None, comment: str) -> list[str] | None:
    """Return the names of the QPUs that a job requests, each once, in the order given.

    Args:
        option: The value of ``--qpu``; None without it.
        comment: The job's comment, in which each word ``qpu=NAMES`` counts too.

    Returns:
        None without a request; an empty list for a request without a name.
    """
    lists = _in_comment(comment)
    if option is not None:
        lists.insert(0, option)
    names = (name.strip() for text in lists for name in text.split(","))
    return list(dict.fromkeys(name for name in names if name)) if lists else None


def _in_comment(comment: str) -> list[str]:
    """Return the lists of names in a comment, which may have spaces at their commas."""
    lists: list[str] = []
    goes_on = False
    for word in comment.split():
        if word.startswith("qpu="):
            lists.append(word[4:])
            goes_on = True
        elif goes_on and (lists[-1][-1:] in ("", ",") or word.startswith(",")):
            lists[-1] += word
        else:
            goes_on = False
    return lists


def first_host(nodes: str) -> str:
    """Return the first host of a list of Slurm, such as ``n3`` of ``n[3-5,7],login``."""
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
    """Return True if this node is the first of the job, which acts for all its nodes."""
    nodes = environment.get("SLURM_JOB_NODELIST") or environment.get("SLURM_NODELIST", "")
    node = environment.get("SLURMD_NODENAME", "")
    return not nodes or not node or first_host(nodes) == node
