"""The administrator's guide has the settings that there are."""

from __future__ import annotations

from pathlib import Path

from qrmi_slurm.site import KEYS

GUIDE = Path(__file__).parents[3] / "docs/slurm/admin.md"


def test_the_guide_has_every_setting() -> None:
    table = "\n".join(
        f"| `{key}` | `{default}` | {help} |" for key, (default, _, help) in KEYS.items()
    )
    assert f"| --- | --- | --- |\n{table}\n\n" in GUIDE.read_text(encoding="utf-8")
