"""Player: a sound through the default loudspeaker, in the background, where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Player:
    """Plays one sound at a time. Where nothing can be played it says why, once asked, and goes on."""

    def __init__(self) -> None:
        self._device: Any = None
        self.trouble = ""

    def play(self, samples: NDArray[np.float32], sample_rate: int) -> str:
        """Begin to play (n,) float32, in place of what plays now; what became of it, in a few words."""
        try:
            import sounddevice
        except (ImportError, OSError):  # OSError: PortAudio itself is missing
            return "no sound output: PortAudio is not installed"
        try:
            sounddevice.stop()
            sounddevice.query_devices(kind="output")
            sounddevice.play(np.clip(np.nan_to_num(samples), -1, 1), sample_rate)
        except (sounddevice.PortAudioError, ValueError) as error:
            return f"no sound output: {' '.join(str(error).split())}"
        self._device = sounddevice
        return "playing"

    def stop(self) -> None:
        """Be silent."""
        if self._device is not None:
            self._device.stop()
            self._device = None
