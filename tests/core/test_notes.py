"""What drivers remember: bounded, from many threads, and after a fork."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from qrmi_core.locks import Lock
from qrmi_core.notes import TaskNotes


def test_notes_are_kept_by_task_and_in_order() -> None:
    notes: TaskNotes[int] = TaskNotes()
    notes["b"], notes["a"], notes["b"] = 1, 2, 3
    assert [*notes] == ["b", "a"]
    assert notes.items() == [("b", 3), ("a", 2)]
    assert ("a" in notes, "c" in notes, len(notes)) == (True, False, 2)
    assert (notes.get("a"), notes.get("c")) == (2, None)
    assert (notes.pop("a"), notes.pop("a")) == (2, None)
    assert [*notes] == ["b"]


def test_the_oldest_note_makes_room() -> None:
    notes: TaskNotes[None] = TaskNotes(limit=3)
    for number in range(10):
        notes[str(number)] = None
    assert [*notes] == ["7", "8", "9"]


def test_notes_are_used_from_many_threads() -> None:
    notes: TaskNotes[int] = TaskNotes(limit=50)

    def use(number: int) -> int | None:
        notes[str(number)] = number
        assert len([*notes]) <= 51
        notes.items()
        return notes.pop(str(number % 7))

    with ThreadPoolExecutor(8) as pool:
        taken = [number for number in pool.map(use, range(2000)) if number is not None]
    assert len(notes) <= 50
    assert set(taken) <= set(range(7))


def test_a_note_is_popped_by_one_thread_alone() -> None:
    notes: TaskNotes[int] = TaskNotes()
    for _ in range(200):
        notes["t"] = 1
        with ThreadPoolExecutor(4) as pool:
            assert sorted(map(str, pool.map(notes.pop, ["t"] * 4))) == ["1", "None", "None", "None"]


def test_a_forked_child_finds_a_lock_unlocked_that_another_thread_held() -> None:
    notes: TaskNotes[int] = TaskNotes()
    notes["t"] = 1
    lock, entered, leave = Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock, notes._lock:
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(30)
    child = os.fork()
    if not child:
        status = 1
        try:
            with lock:
                notes["u"] = 2
                status = 0 if notes.items() == [("t", 1), ("u", 2)] else 3
        finally:
            os._exit(status)
    deadline = threading.Timer(20, os.kill, (child, 9))
    deadline.start()
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        deadline.cancel()
        leave.set()
        thread.join()
    assert [*notes] == ["t"]
