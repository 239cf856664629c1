"""Pasqal's APIs, and what they share: devices, sequences and results."""
