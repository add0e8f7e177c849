"""Old names of options and settings: understood for one release, with a warning on stderr."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import click

from export.training.config import RENAMED

T = TypeVar("T")


def warn_renamed(old: str, new: str) -> None:
    """Say on stderr what an old name has become."""
    click.echo(f"warning: {old} is now {new}; the old name goes with the next release", err=True)


def current_settings(settings: Mapping[str, T]) -> dict[str, T]:
    """Settings under their current names, with a warning for each old one."""
    for name in settings:
        if name in RENAMED:
            warn_renamed(f"the setting {name}", RENAMED[name])
    return {RENAMED.get(name, name): value for name, value in settings.items()}
