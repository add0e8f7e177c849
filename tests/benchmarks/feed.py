"""A virtual microphone whose every sample has a known moment: PulseAudio's pipe source, fed like a sound card.

Playing into a sink would not do: how long the player and the sink hold a sound back is unknown, and would be counted as
delay of the listener. A pipe source has what is written to it immediately.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.pulse import PulseServer

SOURCE = "fedmic"
PERIOD_SECONDS = 0.01  # of sound per write: a common period of sound cards
_PIPE_BYTES = 8192  # what may wait in the pipe while nobody listens


class Feed(threading.Thread):
    """Writes a sound to a microphone at real-time pace.

    Args:
        server: a running PulseAudio; its default source becomes this microphone.
        sound: (n,) float32 in [-1, 1].
        rate: Hz, of the sound and of the microphone.
        pipe: path of the pipe, which PulseAudio makes.
    """

    def __init__(self, server: PulseServer, sound: NDArray[np.float32], rate: int, pipe: Path) -> None:
        super().__init__(name="feed", daemon=True)
        self._pcm = np.round(32767 * np.clip(sound, -1, 1)).astype("<i2")
        self._rate = rate
        self._block = round(PERIOD_SECONDS * rate)
        self._written: list[float] = []  # when each block was
        self._stop_asked = threading.Event()
        what = f"format=s16le rate={rate} channels=1"
        server.pactl("load-module", "module-pipe-source", f"source_name={SOURCE}", f"file={pipe}", what)
        server.pactl("set-default-source", SOURCE)
        self._pipe = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.seconds = len(sound) / rate
        self.dropped = 0  # blocks that found the pipe full: nobody listened

    def run(self) -> None:
        begin = time.monotonic()
        try:
            for number in range(len(self._pcm) // self._block):
                wait = begin + (number + 1) * PERIOD_SECONDS - time.monotonic()
                if self._stop_asked.wait(max(0.0, wait)):
                    return
                self._written.append(time.monotonic())
                try:
                    os.write(self._pipe, self._pcm[number * self._block :][: self._block].tobytes())
                except BlockingIOError:
                    self.dropped += 1
        finally:
            os.close(self._pipe)

    def moment(self, sample: int) -> float:
        """When a sample sounded, seconds of time.monotonic: its block's last sample sounded as it was written."""
        block = sample // self._block
        behind = (block + 1) * self._block - 1 - sample
        return self._written[block] - behind / self._rate

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(20)
