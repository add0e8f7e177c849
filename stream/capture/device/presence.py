"""Whether a machine can have microphones at all, found out without opening anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def has_sound(
    environ: Mapping[str, str] = os.environ, platform: str = sys.platform, cards: str = "/dev/snd"
) -> bool:
    """False on Linux without a card that records and without a sound server, as in most containers.

    Args:
        environ: names a sound server, or the folder where its socket lies.
        platform: others than Linux are taken to have sound.
        cards: folder of ALSA's devices.
    """
    if platform != "linux" or environ.get("PULSE_SERVER"):
        return True
    if any(Path(cards).glob("pcm*c")):
        return True
    folder = environ.get("XDG_RUNTIME_DIR")
    return bool(folder) and any(Path(str(folder), name).exists() for name in ("pulse/native", "pipewire-0"))
