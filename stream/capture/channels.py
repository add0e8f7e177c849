"""Which channel of a recording is listened to, and how samples become mono float32: the one home of both.

Policy: files, network streams and standard input are *mixed* (the mean of their channels), because nobody
knows what was put where. A microphone listens to channel 1, because its other channels are often a
loudspeaker reference, or empty. Microphones state their own default; this module states the others'.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError

Channel = int | Literal["mix"]

DEFAULT_CHANNEL: Channel = "mix"

# Beyond these a header or an option is a mistake or an attack, not a recording.
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000
MAX_CHANNELS = 128

INTEGER_SCALE = {np.dtype(np.int16): 2.0**-15, np.dtype(np.int32): 2.0**-31}


def parse_channel(value: int | str) -> Channel:
    """A channel as people write it: a number from 1 on (also as text), or "mix".

    Raises:
        UsageError: anything else.
    """
    if isinstance(value, str) and value.strip().lower() == "mix":
        return "mix"
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(f"channel {value!r} is not a channel: use 'mix' or a number from 1 on")
    return number


def check_channel(channel: Channel, channels: int, name: str) -> None:
    """Refuse a channel number the source called ``name`` does not have.

    Raises:
        UsageError: ``channel`` is beyond ``channels``.
    """
    if channel != "mix" and channel > channels:
        plural = "channel" if channels == 1 else "channels"
        raise UsageError(
            f"{name} has {channels} {plural}, not {channel}: use 'mix' or a number up to {channels}"
        )


def pick_channel(samples: NDArray[np.float32], channel: Channel) -> NDArray[np.float32]:
    """One channel, or the mean of all.

    Args:
        samples: (n, channels) float32.
        channel: "mix" or a 1-based number that exists.

    Returns:
        (n,) float32, contiguous; a view where that is possible.
    """
    if samples.shape[1] == 1:
        return np.ascontiguousarray(samples[:, 0])
    if channel == "mix":
        # Channel by channel in float64: the same for any number of rows, and NumPy is slow along short axes.
        total = samples[:, 0].astype(np.float64)
        for column in range(1, samples.shape[1]):
            total += samples[:, column]
        mono: NDArray[np.float32] = (total / samples.shape[1]).astype(np.float32)
        return mono
    return np.ascontiguousarray(samples[:, channel - 1])


def as_float32(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of any usual type as float32 in the nominal range [-1, 1); float32 comes back uncopied.

    Args:
        samples: float32 or float64 as they are, int16 and int32 scaled by full scale; any shape.

    Raises:
        UsageError: any other type; an int64 or uint8 array has no full scale anyone could know.
    """
    samples = np.asarray(samples)
    native = samples.dtype.newbyteorder("=")
    if native == np.float32:
        return np.asarray(samples, dtype=np.float32)
    if native == np.float64:
        # A value beyond float32's range becomes infinite, which the repair stage counts as missing.
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    if native in INTEGER_SCALE:
        # Scales are powers of two, so the only rounding is that of the integer to float32.
        scaled: NDArray[np.float32] = np.multiply(
            samples, np.float32(INTEGER_SCALE[native]), dtype=np.float32
        )
        return scaled
    raise UsageError(
        f"samples of type {samples.dtype} are not understood: use float32, float64, int16 or int32"
    )
