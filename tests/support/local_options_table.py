"""The table of options in qrmi-local's README, generated from the engine's table."""

from __future__ import annotations

import json

from qrmi_local.engines._options import OPTIONS


def local_options_table() -> str:
    """Return a row for every option, with its effect in each program that has it."""
    rows = [
        f"| option | {' | '.join(OPTIONS)} | always accepted |",
        f"| --- |{' --- |' * len(OPTIONS)} --- |",
    ]
    for name in sorted({name for known in OPTIONS.values() for name in known}):
        options = [known.get(name) for known in OPTIONS.values()]
        effects = " | ".join(option.effect if option else "" for option in options)
        usual = next((each.usual for each in options if each and each.usual is not None), None)
        shown = "" if usual is None else f"`{json.dumps(usual)}`"
        rows.append(f"| `{name}` | {effects} | {shown} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(local_options_table())
