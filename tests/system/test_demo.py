"""The demonstration, run like `make demo`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from support.processes import said

DEMO = Path(__file__).parents[2] / "docs/examples/demo.py"


def test_the_demo_shows_every_estimate_with_its_error(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "QRMI_LOCAL_HOME": str(tmp_path / "store"),
        "QRMI_LOCAL_IDLE_SECONDS": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    shown = said(sys.executable, DEMO, env=environment)
    number = r"-?\d\.\d{3}"
    found = re.findall(rf"<(ZZ|XX)> = ({number}) ± ({number}) \(exact ([\d.]+)\)", shown)
    assert [name for name, *_ in found] == ["ZZ", "XX"]
    for _, value, error, exact in found:
        assert 0 < float(error) < 0.05
        assert abs(float(value) - float(exact)) < 10 * float(error)
    assert "released EMU_FREE" in shown
