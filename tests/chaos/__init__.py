"""Clients of every driver under random faults, and an account of their tasks."""
