"""Scratch: integer samples become float32 in memory that all streams of a pool use in turn."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import INTEGER_SCALE
from stream.messages import Chunk

# NumPy gives the interpreter away while it works on more numbers. Another thread that takes it keeps it for
# milliseconds, for each chunk.
_FEW = 500


class Scratch:
    """Memory for one chunk at a time, which stays in the cache. For the pool's thread alone."""

    def __init__(self) -> None:
        self._samples: NDArray[np.float32] = np.empty(0, np.float32)

    def converted(self, chunk: Chunk) -> Chunk:
        """The chunk as `as_float32` would have it, until the next call.

        Whoever is given it is done with the samples before he gives something back that has to be computed, as
        `StreamClassifier.steps` is, because there is nothing to repair in them.
        """
        samples = chunk.samples
        scale = np.float32(INTEGER_SCALE[samples.dtype.newbyteorder("=")])
        if len(self._samples) < len(samples):
            self._samples = np.empty(len(samples), np.float32)
        out = self._samples[: len(samples)]
        for at in range(0, len(samples), _FEW):
            np.multiply(samples[at : at + _FEW], scale, out[at : at + _FEW])
        return msgspec.structs.replace(chunk, samples=out, clean=True)
