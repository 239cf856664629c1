"""The table of settings in qrmi-slurm's README, generated from the code."""

from __future__ import annotations

from qrmi_slurm.site import KEYS


def slurm_settings_table() -> str:
    """Return a row for each key of slurm.toml."""
    rows = ["| key | default | value | meaning |", "| --- | --- | --- | --- |"]
    for key, (default, (_, form), meaning) in KEYS.items():
        rows.append(f"| `{key}` | `{default}` | {form} | {meaning} |")
    return "\n".join(rows)
