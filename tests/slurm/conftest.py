"""Tests on a real cluster, which `make test-slurm` runs; skipped where Slurm is not installed."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("cluster", "job_cases", "real_site")
