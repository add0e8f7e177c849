"""Benchmarks run when asked for: ``pytest tests/benchmarks``; ``--record`` keeps the ratios as the new baseline."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="write the measured ratios to baseline.json")
