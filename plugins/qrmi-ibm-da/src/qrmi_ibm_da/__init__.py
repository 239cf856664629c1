"""Quantum computers on premises, through the IBM Quantum System API, formerly Direct Access."""
