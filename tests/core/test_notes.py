"""Notes of drivers: bounded, and used from many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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


def test_notes_may_change_while_somebody_goes_through_them() -> None:
    notes: TaskNotes[int] = TaskNotes()
    notes["a"], notes["b"] = 1, 2
    for task_id in notes:
        notes[f"{task_id}{task_id}"] = 3
    assert [*notes] == ["a", "b", "aa", "bb"]
    for task_id, _ in notes.items():
        notes.pop(task_id)
    assert not len(notes)


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
