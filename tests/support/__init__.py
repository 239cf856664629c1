"""Helpers that the tests of several distributions share; README.md says which is for what."""
