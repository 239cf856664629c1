"""Parsers of Slurm's output, with few imports."""

from __future__ import annotations

TYPE_CHECKING = False  # for type checkers; importing typing takes longer than everything else here
if TYPE_CHECKING:
    from collections.abc import Mapping

OPTION = "SLURM_SPANK__SLURM_SPANK_OPTION_spank_qrmi_qpu"
"""The variable of a task with the ``--qpu`` of its job."""


def wanted(option: str | None, comment: str) -> list[str] | None:
    """Return the names of the QPUs that a job requests, without duplicates, in the given order.

    Args:
        option: The value of ``--qpu``; None without it.
        comment: The job's comment, whose words ``qpu=NAMES`` count too.

    Returns:
        None without a request; an empty list for a request without a name.
    """
    lists = _in_comment(comment)
    if option is not None:
        lists.insert(0, option)
    names = (name.strip() for text in lists for name in text.split(","))
    return list(dict.fromkeys(name for name in names if name)) if lists else None


def _in_comment(comment: str) -> list[str]:
    """Return the lists of names in a comment, which may have spaces after commas."""
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
    """Return the first host of a Slurm node list, such as ``n3`` of ``n[3-5,7],login``."""
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
    """Return True on the job's first node, which acts for all its nodes."""
    nodes = environment.get("SLURM_JOB_NODELIST") or environment.get("SLURM_NODELIST", "")
    node = environment.get("SLURMD_NODENAME", "")
    return not nodes or not node or first_host(nodes) == node
