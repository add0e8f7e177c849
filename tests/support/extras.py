"""Optional packages that a test file needs."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def needs(*packages: str) -> None:
    """Skip the calling test file unless all of them are installed.

    Unlike ``pytest.importorskip`` this imports nothing: whoever collects the tests does not wait for torch.
    """
    for name in packages:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install -e '.[export]'", allow_module_level=True)
