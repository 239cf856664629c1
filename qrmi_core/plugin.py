"""The public names for authors of plugins, each imported when it is first used."""

from qrmi_core import _lazy

_lazy.export(globals())
