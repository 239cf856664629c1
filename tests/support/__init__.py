"""Helpers that the tests of several distributions share; README.md lists them."""
