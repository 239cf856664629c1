"""IBM Qiskit Runtime, now IBM Quantum Compute Service."""
