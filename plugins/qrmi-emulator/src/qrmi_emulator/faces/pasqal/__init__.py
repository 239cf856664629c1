"""Pasqal's APIs, and their common modules: devices, sequences and results."""
