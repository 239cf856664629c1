"""The table of settings in a plugin's README, generated from the settings class."""

from __future__ import annotations

import attrs

from qrmi_core.http.settings import HttpSettings
from qrmi_core.settings import Settings


def settings_table(settings: type[Settings]) -> str:
    """Return the rows of the class's own settings, without those that every resource has."""
    inherited = {*Settings.declarations(), *HttpSettings.declarations()}
    fields = attrs.fields_dict(settings)
    rows = ["| key | also | must be set | meaning |", "| --- | --- | --- | --- |"]
    for name, declared in settings.declarations().items():
        if name not in inherited:
            newest, *older = (f"`{key}`" for key in declared.names)
            needed = "yes" if fields[name].default is attrs.NOTHING else ""
            cells = (newest, ", ".join(older), needed, declared.help)
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
