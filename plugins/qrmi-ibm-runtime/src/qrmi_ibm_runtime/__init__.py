"""Quantum resources of IBM Quantum, through the Qiskit Runtime REST API."""
