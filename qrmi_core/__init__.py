"""QRMI for Python: acquire a quantum computer, run tasks on it, watch them and release it.

Names are imported when they are first used, so that ``import qrmi_core`` costs next to nothing.
"""

from __future__ import annotations

from qrmi_core import _lazy

_lazy.export(globals())
