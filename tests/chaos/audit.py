"""The comparison of the clients' journals with the contents of the stores."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import attrs

from chaos.ledger import read
from chaos.plan import ClientPlan
from chaos.programs import mark_of
from chaos.stores import Contents
from chaos.tracebacks import tracebacks

_ENDS: Final = frozenset({0, 1, 2, 3, 4, 5, 6, 130, 141, 143, -2, -9, -15})
"""Exit statuses that are documented, and the signals that clients get."""
_OURS: Final = re.compile(r'File "(.*/)?qrmi(_\w+)?/')
"""A file of a package of ours, and not the path hook with which Python finds it."""
_STOPPED_BY_USER: Final = frozenset({"KeyboardInterrupt", "SystemExit"})


@attrs.define
class Findings:
    """The problems found, each as a sentence, and counts of everything else.

    Attributes:
        lost: Tasks of a client that no store holds, or that have another task's result.
        doubled: Tasks in a store that no client submitted, or that exist more than once.
        hung: Clients and tasks that did not end.
        left_open: Sessions that nobody closed.
        raw: Exceptions outside the tree of errors, and undocumented exit statuses.
        allowed: Irregularities that a fault explains, counted by reason.
        outcomes: Counts of the outcomes of submissions and commands.
    """

    lost: list[str] = attrs.Factory(list)
    doubled: list[str] = attrs.Factory(list)
    hung: list[str] = attrs.Factory(list)
    left_open: list[str] = attrs.Factory(list)
    raw: list[str] = attrs.Factory(list)
    allowed: Counter[str] = attrs.Factory(Counter)
    outcomes: Counter[str] = attrs.Factory(Counter)

    def figures(self) -> dict[str, list[str]]:
        """Return the problems by kind; each list must be empty."""
        return {
            "lost": self.lost,
            "doubled": self.doubled,
            "hung": self.hung,
            "sessions left open": self.left_open,
            "raw exceptions": self.raw,
        }


@attrs.define
class ClientAccount:
    """The account of one client.

    Args:
        plan: The client's plan.
        events: Its journal.
    """

    plan: ClientPlan
    events: list[dict[str, Any]]

    def of(self, *names: str) -> list[dict[str, Any]]:
        """Return the events of some names."""
        return [event for event in self.events if event["event"] in names]

    def numbers(self, *names: str) -> set[int]:
        """Return the numbers of the tasks that have an event of some names."""
        return {event["n"] for event in self.of(*names)}

    @property
    def ids(self) -> dict[int, str]:
        """The ids of the tasks that the client has, by number."""
        return {event["n"]: event["id"] for event in self.of("task")}

    @property
    def unresolved(self) -> set[int]:
        """The numbers of the tasks that may exist although the client has no id of them."""
        return self.numbers("intend") - self.numbers("refused") - set(self.ids)

    @property
    def signals(self) -> set[int]:
        """The signals that were sent to the client."""
        return {event["number"] for event in self.of("signal")}

    @property
    def broken_off(self) -> bool:
        """True if a signal ended the client, or the client stopped upon one."""
        return bool(self.signals) and not any(
            event["status"] == 0 for event in self.of("exit")[-1:]
        )

    @property
    def name(self) -> str:
        """The client's name, for use in a sentence."""
        plan = self.plan
        held = "" if plan.holds == "no" or plan.style != "script" else f", {plan.holds}"
        return f"client {plan.number} ({plan.style} on {plan.resource_type}{held})"


def audit(clients: Iterable[ClientAccount], contents: Contents) -> Findings:
    """Compare the clients' journals with the contents of the stores."""
    found = Findings()
    accounts = {client.plan.number: client for client in clients}
    for client in accounts.values():
        _check_known(client, contents, found)
        _check_ends(client, found)
    _check_held(accounts, contents, found)
    _check_sessions(accounts.values(), contents, found)
    found.hung += [
        f"task {task.id} of {_named(accounts, task.client)} has not ended"
        for task in contents.pending
    ]
    return found


def _named(accounts: dict[int, ClientAccount], number: int | None) -> str:
    return accounts[number].name if number in accounts else f"client {number}"


def _check_known(client: ClientAccount, contents: Contents, found: Findings) -> None:
    """Check that every task of a client exists, and that its results are its own."""
    held = {task.id for task in contents.tasks if task.resource_type == client.plan.resource_type}
    # Direct Access deletes tasks when they are stopped or when their end is reported.
    deletes = client.plan.resource_type == "ibm-quantum-system"
    stopped = client.numbers("stopping") if deletes else set()
    if deletes and client.plan.style == "run" and client.broken_off:
        stopped = {0}
    for number, task_id in client.ids.items():
        if task_id in held or (deletes and task_id in contents.results) or number in stopped:
            continue
        reported = {"TaskFailedError", "TaskCancelledError"}
        kinds = {event["kind"] for event in client.of("failed") if event["n"] == number}
        if not (deletes and kinds & reported):
            found.lost.append(f"{client.name}: task {task_id} (number {number}) is gone")
    for task_id, times in Counter(client.ids.values()).items():
        if times > 1:
            found.lost.append(f"{client.name}: {times} submissions have the one id {task_id}")
    for event in client.of("result"):
        mark = mark_of(event["text"])
        if mark is not None and mark != (client.plan.number, event["n"]):
            found.lost.append(f"{client.name}: task {event['n']} has the result of {mark}")
    for event in client.of("failed"):
        if event["kind"] == "TaskNotFoundError" and event["n"] not in stopped:
            found.lost.append(f"{client.name}: task {event['n']}: {event['text']}")


def _check_ends(client: ClientAccount, found: Findings) -> None:
    for event in client.of("hung"):
        found.hung.append(f"{client.name}: {event['text']}")
    for event in client.of("raw"):
        found.raw.append(f"{client.name}: {event['text']}")
    for event in client.of("exit"):
        found.outcomes[f"exit status {event['status']} ({client.plan.style})"] += 1
        if event["status"] not in _ENDS:
            found.raw.append(f"{client.name}: step {event['step']} ended with {event['status']}")
    for event in client.of("refused", "failed"):
        found.outcomes[f"{event['kind']} ({client.plan.resource_type})"] += 1
    for number in client.unresolved:
        if number in client.numbers("uncertain"):
            found.allowed["submission ended in SubmissionUncertainError"] += 1
        elif client.signals or client.of("hung"):
            found.allowed["submission of a client that was killed or interrupted"] += 1
        else:
            found.raw.append(f"{client.name}: task {number} has no outcome, and no signal was sent")


def _check_held(accounts: dict[int, ClientAccount], contents: Contents, found: Findings) -> None:
    """Check that every task in the stores belongs to a client, which may lack its id."""
    known = {
        (client.plan.resource_type, task_id)
        for client in accounts.values()
        for task_id in client.ids.values()
    }
    free: Counter[tuple[int, int | None]] = Counter()
    for number, client in accounts.items():
        is_local = client.plan.resource_type == "local"
        free.update((number, None if is_local else task) for task in client.unresolved)
    for task in contents.tasks:
        if (task.resource_type, task.id) in known:
            continue
        mark = (task.client if task.client is not None else -1, task.number)
        if free[mark] > 0:
            free[mark] -= 1
            found.allowed["task of a submission without outcome that exists"] += 1
        else:
            found.doubled.append(
                f"{_named(accounts, task.client)}: task {task.id} (number {task.number}) exists, "
                f"{_reason(accounts.get(mark[0]), task.number)}"
            )


def _reason(client: ClientAccount | None, number: int | None) -> str:
    if client is None:
        return "and is of no client"
    for event in client.of("refused"):
        if event["n"] == number or number is None:
            return f"though the client was told: {event['kind']}: {event['text'].strip()[-300:]}"
    return f"though its client knows another: {client.ids}"


def _check_sessions(clients: Iterable[ClientAccount], contents: Contents, found: Findings) -> None:
    """Check that each open session belongs to a client that was killed or reported it as open."""
    told: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    for client in clients:
        released = {event.get("token") for event in client.of("released")}
        for event in client.of("acquired", "unreleased"):
            token = event.get("token")
            if token and token not in released and event["event"] == "unreleased":
                told[token] = "session whose release failed, as the client was told"
            elif token and token not in released and client.signals:
                told.setdefault(token, "session of a client that was killed or interrupted")
        tokenless = client.plan.style == "run" or client.plan.holds == "with"
        acquired = client.of("acquired") or (client.plan.style == "run" and client.ids)
        finished = client.of("released") or (client.plan.style == "run" and _ended_well(client))
        if client.of("acquiring") and (not acquired or (tokenless and not finished)):
            unknown[client.plan.resource_type] += 1
    for resource_type, token in contents.sessions:
        if token in told:
            found.allowed[told[token]] += 1
        elif unknown[resource_type] > 0:
            unknown[resource_type] -= 1
            found.allowed["session whose acquisition or `with` was broken off or failed"] += 1
        elif resource_type == "pasqal-local":
            # Warden lists no sessions, so a lost response leads to a second session.
            found.allowed["session of Warden whose response was lost"] += 1
        else:
            found.left_open.append(f"session {token} ({resource_type})")


def _ended_well(client: ClientAccount) -> bool:
    """Return True if a run ended by itself, so it had to close or report its session."""
    return any(event["status"] >= 0 for event in client.of("exit"))


def check_text(text: str, where: str, found: Findings, *, is_script: bool = False) -> None:
    """Record the exceptions in a text that are outside the tree of errors.

    Args:
        text: The output of a program.
        where: Where that is.
        found: Where to add them.
        is_script: True for a script, which a signal may end with Python's own traceback.
    """
    for trace in tracebacks(text):
        if not trace.is_raw:
            found.allowed["traceback of a QrmiError in a log"] += 1
        elif trace.kind in _STOPPED_BY_USER and (is_script or not _OURS.search(trace.text)):
            found.allowed["interrupt before the program began or after it ended"] += 1
        else:
            found.raw.append(f"{where}: {trace.text}")


def accounts(folder: Path) -> list[ClientAccount]:
    """Return the accounts of the clients whose folders are in a folder."""
    return [
        ClientAccount(
            ClientPlan(**json.loads((client / "plan.json").read_text())), read(client / "journal")
        )
        for client in sorted(folder.iterdir(), key=lambda path: int(path.name))
    ]
