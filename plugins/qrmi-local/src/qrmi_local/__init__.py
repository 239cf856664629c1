"""Quantum resources on simulators on this machine, as QRMI resources of type `local`."""
