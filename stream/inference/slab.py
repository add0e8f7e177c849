"""Slab: many streams in lockstep, one hop of each at a time, for a fraction of what each alone would cost."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from stream.errors import SpecError, UsageError
from stream.features.kernel import ROWS, make_kernel
from stream.inference.session import Model
from stream.inference.stepper import Stepper

SPARE = (
    4  # hops between two moves of the sample buffer: few, for the samples of all rows to stay in the cache
)


class Slab:
    """N streams of one Model, each given one hop a push. A row's probabilities are, to the bit, those of a
    StreamClassifier of its own, hearing the same samples.

    Rows come and go at any time without touching the others. A hop must be clean sound: what may hold NaN goes
    through a Repair first, and a stream that lost samples joins again. All rows are computed, heard or not:
    keep a slab about as large as the number of its streams.

    Args:
        model: shared; stride 1, and no pre-emphasis or slopes among its features.
        streams: N. All have joined at the start.

    Raises:
        SpecError: a model that this lockstep cannot serve; use one StreamClassifier a stream.

    Attributes:
        hop_length: samples a stream a push.
    """

    def __init__(self, model: Model, streams: int) -> None:
        spec = model.card.features
        if streams < 1:
            raise SpecError(f"streams {streams}: must be 1 or more")
        if model.card.stride != 1 or spec.deltas or spec.pre_emphasis:
            raise SpecError(
                f"model {model.card.name}: stride {model.card.stride}, deltas {spec.deltas}, pre_emphasis "
                f"{spec.pre_emphasis:g}: a slab needs 1, 0 and 0; use one StreamClassifier a stream"
            )
        self.model = model
        self.streams = streams
        self.hop_length = spec.hop_length
        self._stepper = Stepper(model, streams)
        self._kernel = make_kernel(spec, min(streams, ROWS))
        self._hops = -(-spec.n_fft // spec.hop_length)  # pushes until a row has its first frame
        self._buffer = np.zeros((streams, (self._hops + SPARE) * spec.hop_length), self._kernel.dtype)
        # Where frames can begin, hop by hop: (SPARE + 1, N, n_fft).
        row, sample = self._buffer.strides
        self._frames = as_strided(
            self._buffer,
            (SPARE + 1, streams, spec.n_fft),
            (spec.hop_length * sample, row, sample),
            writeable=False,
        )
        self._blocks = [slice(at, min(at + ROWS, streams)) for at in range(0, streams, ROWS)]
        self._at = 0  # which of those windows is next
        self._heard = np.zeros(streams, np.int64)  # pushes since a row joined, up to enough for a frame
        self._joined = np.ones(streams, np.bool_)
        self._steady = False  # every row has joined and has its frame

    def join(self, row: int) -> None:
        """A new stream in ``row``, as new, in place of any that was there."""
        self._clear(row)
        self._joined[row] = True

    def leave(self, row: int) -> None:
        """No stream in ``row`` until something joins there."""
        self._clear(row)
        self._joined[row] = False

    def push(self, hops: NDArray[np.float32], active: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Take the next hop of every stream.

        Args:
            hops: (N, hop_length) float32, clean; not kept. Rows without a stream are not looked at.
            active: (N,) bool, False for streams that have no hop this time; they wait as they are. None = all.

        Returns:
            (N, C) float32, a new array; NaN where a row has no answer: no stream, not active, or not yet a
            whole frame.
        """
        if hops.shape != (self.streams, self.hop_length):
            raise UsageError(f"hops of shape {hops.shape}: want {(self.streams, self.hop_length)}")
        if self._at > SPARE:
            keep = (self._hops - 1) * self.hop_length
            self._buffer[:, :keep] = self._buffer[:, self._at * self.hop_length :][:, :keep].copy()
            self._at = 0
        if self._steady and active is None:
            return self._step(hops)
        return self._push_some(hops, self._joined if active is None else self._joined & active)

    def _step(self, hops: NDArray[np.float32]) -> NDArray[np.float32]:
        frames, features = self._frames[self._at], self._stepper.inputs
        end = (self._at + self._hops) * self.hop_length
        for block in self._blocks:  # a block's samples are used while they are in the cache
            self._buffer[block, end - self.hop_length : end] = hops[block]
            self._kernel.compute(frames[block], features[block])
        self._at += 1
        probs: NDArray[np.float32] = self._stepper.advance()[:, 0].copy()
        return probs

    def _push_some(self, hops: NDArray[np.float32], active: NDArray[np.bool_]) -> NDArray[np.float32]:
        """As ``_step``, and put back every row that had no hop or has no frame yet."""
        waiting = np.flatnonzero(~active)
        begin = self._at * self.hop_length
        past = slice(begin, begin + (self._hops - 1) * self.hop_length)
        held = self._buffer[waiting, past]
        quiet = hops.copy()
        quiet[waiting] = 0
        self._heard[active] = np.minimum(self._heard[active] + 1, self._hops)
        silent = np.flatnonzero(~active | (self._heard < self._hops))
        before = self._stepper.rows_state(silent)
        probs = self._step(quiet)
        self._stepper.set_rows_state(silent, before)
        # The window has moved on for all; what a waiting row had moves with it.
        self._buffer[waiting, past.start + self.hop_length : past.stop + self.hop_length] = held
        probs[silent] = np.nan
        self._steady = bool(self._joined.all()) and not (self._heard < self._hops).any()
        return probs

    def _clear(self, row: int) -> None:
        self._stepper.reset(row)
        self._buffer[row] = 0
        self._heard[row] = 0
        self._steady = False
