"""What is imported when first used, and looked for before: torch takes seconds, and ``--help`` does not need it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazy_names(
    package: str, home_of: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        home_of: public name -> the module that defines it.
    """

    def get(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(home_of)


def require(*packages: str) -> None:
    """Tell at once what would be missed at the end of hours of work. Nothing is imported, which could take seconds.

    Raises:
        ModuleNotFoundError: one of them is not installed; ``name`` says which.
    """
    for name in packages:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
