"""Where this program keeps what must outlive a run and belongs to nobody's project: the user's folder of states."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def state_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The folder, which need not exist yet.

    It is that of the systemd unit (``StateDirectory=``), of ``XDG_STATE_HOME``, or the usual one of the platform:
    ``~/.local/state``, ``~/Library/Application Support`` or ``%LOCALAPPDATA%``.
    """
    if unit := environ.get("STATE_DIRECTORY"):
        return Path(unit.partition(":")[0])
    if platform == "win32":
        base = environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "stream-classify"
