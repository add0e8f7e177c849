"""What is odd about the sound that comes: said once, for people, while the samples stay as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import Channel, pick_channel

# A second that is louder than this tells whether channels cancel.
_AUDIBLE_RMS = 10 ** (-50 / 20)
# The mix below the channels: like ones give 1, n unlike ones 1 / sqrt(n). Far below that they cancel.
_CANCELLED = 0.14  # 20 dB below the channels for two of them
_FAR_BEYOND = 8.0  # of full scale: 18 dB that no recorder leaves for headroom
_OFFSET, _OFFSET_SHARE = 0.02, 0.25  # of full scale, and of the sound on it
_FAINT_RMS = 10 ** (-60 / 20)  # of the loudest second; rooms at night are so quiet, hence the long wait
_SECONDS_SURE, _SECONDS_FAINT, _SECONDS_SHORT = 3, 30, 0.25


class SoundCheck:
    """Looks at the blocks of one source, second by second.

    A hint is given once: after three seconds that agree (half a minute of faint sound), or at the end of a shorter
    recording. Digital silence alone is nothing odd. That the sound is faint holds until some is not.

    Args:
        sample_rate: Hz.
        channel: what is listened to: channels can only cancel each other in the mix.

    """

    def __init__(self, sample_rate: int, channel: Channel) -> None:
        self._rate, self._channel = sample_rate, channel
        self._found: dict[str, str] = {}
        self._count = 0
        self._mixed = 1  # channels
        self._begin_second()
        self._heard = self._cancelled = self._loud = self._shifted = self._flat = 0.0  # seconds
        self._offset = self._loudest = self._peak = 0.0

    @property
    def hints(self) -> tuple[str, ...]:
        """What was found so far and still holds, in words."""
        return tuple(self._found.values())

    @property
    def found(self) -> dict[str, str]:
        """The same, each under a word for its kind: "cancel", "scale", "offset", "faint"."""
        return dict(self._found)

    def mono(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """The wanted channel of a block.

        Args:
            block: (n, channels) float32.

        Returns:
            (n,) float32, as `pick_channel` gives it.
        """
        mono = pick_channel(block, self._channel)
        at = 0
        while at < len(mono):  # whole seconds, however the sound is cut
            n = min(len(mono) - at, self._rate - self._count)
            self._look(block[at : at + n], mono[at : at + n])
            at += n
        return mono

    def finish(self) -> None:
        """The sound has ended: what is known must do."""
        if self._count >= _SECONDS_SHORT * self._rate:
            self._end_second()
        self._shifted += self._flat
        self._judge(sure=min(_SECONDS_SURE, max(self._heard, _SECONDS_SHORT)), faint=_SECONDS_SURE)

    def _begin_second(self) -> None:
        self._count = 0
        self._sum = self._power = self._all = 0.0

    def _look(self, block: NDArray[np.float32], mono: NDArray[np.float32]) -> None:
        power = float(np.dot(mono, mono))
        if not np.isfinite(
            power
        ):  # missing samples, which are the business of the repair, or absurdly large ones
            mono = np.nan_to_num(mono, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
            power = float(np.dot(mono, mono))
        self._power += power
        self._sum += float(mono.sum())
        mixed = self._channel == "mix" and block.shape[1] > 1
        if mixed:
            self._mixed = block.shape[1]
            each = block.ravel()
            self._all += float(np.dot(each, each)) / block.shape[1]
        if power > 0:
            self._peak = max(self._peak, float(mono.max()), -float(mono.min()))
        self._count += len(mono)
        if self._count >= self._rate:
            self._end_second()
            self._judge(sure=_SECONDS_SURE, faint=_SECONDS_FAINT)

    def _end_second(self) -> None:
        n, seconds = self._count, self._count / self._rate
        mean = self._sum / n
        rms = np.sqrt(max(self._power / n - mean * mean, 0.0))
        channels = np.sqrt(self._all / n)
        if channels > _AUDIBLE_RMS:
            self._loud += seconds
            self._cancelled += seconds * bool(np.sqrt(self._power / n * self._mixed) < _CANCELLED * channels)
        if self._power or self._all:
            self._heard += seconds
            shifted = abs(mean) > max(_OFFSET, _OFFSET_SHARE * rms)
            if rms > 1e-4 * abs(mean):
                self._shifted += seconds * shifted
            else:  # a flat line, which a live source says by itself
                self._flat += seconds * shifted
            self._offset = mean if shifted else self._offset
            self._loudest = max(self._loudest, float(np.sqrt(self._power / n)), channels)
        self._begin_second()

    def _judge(self, sure: float, faint: float) -> None:
        if self._cancelled >= sure and self._cancelled > 0.5 * self._loud:
            self._say(
                "cancel",
                "its channels cancel each other when mixed: listen to one, --channel 1",
            )
        if self._peak > _FAR_BEYOND:
            self._say(
                "scale",
                f"samples of {self._peak:.0f} times full scale: does a file of floats hold integers? divide by 32768",
            )
        if self._shifted >= sure and self._shifted > 0.5 * self._heard:
            self._say(
                "offset",
                f"a constant offset of {self._offset:.2g} of full scale lies under the sound: "
                "remove it with a high-pass filter",
            )
        if self._loudest >= _FAINT_RMS:
            self._found.pop("faint", None)  # a quiet night is over
        elif self._heard >= faint:
            level = 20 * np.log10(max(self._loudest, 1e-9))
            self._say(
                "faint",
                f"the loudest second is at {level:.0f} dBFS: if there was something to hear, turn the microphone up",
            )

    def _say(self, kind: str, text: str) -> None:
        self._found.setdefault(kind, text)
