"""The faces of this distribution: a package for each API, by vendor."""
