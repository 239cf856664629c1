"""Requests of those who wish the emulator ill."""

from __future__ import annotations

import time

from qrmi_emulator.faces.pasqal.programs import with_vacant


def test_sites_without_atoms_are_filled_in_once() -> None:
    assert with_vacant("101", []) == "101"
    assert with_vacant("101", [0, 2, 5]) == "010010"
    start = time.monotonic()
    assert with_vacant("1", range(1, 500_000)) == "1" + "0" * 499_999
    assert time.monotonic() - start < 3, "the time is not quadratic"
