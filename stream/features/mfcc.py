"""MFCC (or log-mel) features of a stream, and of a whole recording by the same code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, NDArray

from stream import snapshot as snapshots
from stream.errors import ClosedError, SnapshotInvalid
from stream.features.deltas import CausalDelta
from stream.features.kernel import ROWS, make_kernel
from stream.features.spec import MfccSpec
from stream.features.tables import dct_matrix, mel_edges
from stream.snapshot import Snapshot

_KIND = "mfcc"
LIVE_ROWS = 16  # frames that a stream's own memory has room for: few, as a thousand streams share the caches
_FLOAT32 = np.dtype(np.float32)  # one object for all arrays of the machine's own byte order


def mfcc(samples: ArrayLike, spec: MfccSpec | None = None) -> NDArray[np.float32]:
    """Features of a whole recording: one push of a new StreamingMfcc.

    Args:
        samples: (n,) mono, nominal [-1, 1], at ``spec.sample_rate``.
        spec: default MfccSpec().

    Returns:
        (T, F) float32, time first; T = frame_count(n, spec). With the defaults equal to
        ``librosa.feature.mfcc(S=power_to_db(melspectrogram(center=False, ...), top_db=None)).T``.
    """
    return StreamingMfcc(spec).push(samples)


class StreamingMfcc:
    """The FrontEnd of an MfccSpec. Its only state is the samples not yet used and, with deltas, a few frames.

    Args:
        spec: default MfccSpec().
        start: absolute index of the first sample.

    Attributes:
        position: absolute index of the first sample of the next frame.
    """

    def __init__(self, spec: MfccSpec | None = None, start: int = 0) -> None:
        self.spec = MfccSpec() if spec is None else spec
        self.sample_rate, self.hop_length = self.spec.sample_rate, self.spec.hop_length
        self.span, self.width = self.spec.span, self.spec.width
        self._kernel = make_kernel(self.spec)
        self._hop = self.spec.hop_length
        self._n_fft = self.spec.n_fft
        self._buffer, self._frames = self._memory(LIVE_ROWS)
        # The same memory. NumPy gives the interpreter away while it copies a live hop or two, and another thread that
        # takes it keeps it for milliseconds; this way it does not.
        single = self._buffer.dtype == np.float32
        self._bytes: Any = memoryview(self._buffer) if single else None  # type: ignore[arg-type]
        self._prepared = [self._kernel.prepare(frame) for frame in self._frames]
        self._deltas = [
            CausalDelta(self.spec.delta_width, self._kernel.width) for _ in range(self.spec.deltas)
        ]
        self._emphasised = self.spec.pre_emphasis != 0
        self._emphasis = np.float32(self.spec.pre_emphasis)
        self._last = np.float32(0)
        self._away: NDArray[Any] | None = None  # what the buffer should hold, where `move_on` left it
        self._empty()
        self._closed = False
        self.position = start

    def push(self, samples: ArrayLike) -> NDArray[np.float32]:
        """Take any number of samples, give every frame that is now complete.

        Args:
            samples: (n,) consecutive samples, any real dtype; not kept, not changed.

        Returns:
            (k, F) float32, a new array; frame i begins at ``position`` (as it was before) + i * hop_length.

        Raises:
            ClosedError: after flush.
        """
        if self._closed:
            raise ClosedError("push after flush: call reset() to start a new stream")
        x: NDArray[np.float32]
        if type(samples) is np.ndarray and samples.dtype is _FLOAT32:
            x = samples
        else:
            x = np.asarray(samples, dtype=np.float32)
        if x.ndim != 1:
            raise ValueError(f"samples of shape {x.shape}: want (n,), one channel")
        if self._away is not None:
            self._buffer[: self._filled] = self._away
            self._away = None
        count = len(x)
        if self._emphasised and count:
            x = self._emphasise(x)
        total = self._filled - self._begin + count
        frames = 0 if total < self._n_fft else 1 + (total - self._n_fft) // self._hop
        if self._filled + count > len(self._buffer) or self._row + frames > LIVE_ROWS:
            self._make_room()
        if self._filled + count <= len(self._buffer) and frames <= LIVE_ROWS:
            # The live case: no frame or few.
            if self._bytes is not None and x.flags.c_contiguous:
                self._bytes[self._filled : self._filled + count] = x
            else:
                self._buffer[self._filled : self._filled + count] = x
            self._filled += count
            if frames == 1:
                out = self._kernel.compute_one(self._prepared[self._row])
            else:
                out = np.empty((frames, self._kernel.width), np.float32)
                if frames:
                    self._kernel.compute(self._frames[self._row : self._row + frames], out[:, None])
            self._consume(frames)
        else:
            out = np.empty((frames, self._kernel.width), np.float32)
            self._push_blocks(x, out[:, None])
        self.position += frames * self._hop
        return out if not self._deltas else self._with_deltas(out)

    @property
    def held(self) -> int:
        """Samples that no frame has used up."""
        return self._filled - self._begin

    @property
    def rest(self) -> NDArray[Any]:
        """Those samples, (held,), until the next push."""
        return self._buffer[self._begin : self._filled] if self._away is None else self._away

    def move_on(self, rest: NDArray[Any], frames: int) -> None:
        """Somebody else, see `ManyMfcc`, computed the next ``frames``, behind which ``rest`` is held. It is kept."""
        self._away = rest
        self._row = self._begin = 0
        self._filled = len(rest)
        self.position += frames * self._hop

    def flush(self) -> NDArray[np.float32]:
        """No more input. An incomplete frame is not a frame: returns (0, F)."""
        self._closed = True
        self._empty()
        return np.empty((0, self.width), np.float32)

    def reset(self, start: int = 0) -> None:
        """As new, the next sample being number ``start``. Also the answer to a gap: no frame spans it."""
        self._empty()
        self._closed = False
        self._last = np.float32(0)
        self.position = start
        for stage in self._deltas:
            stage.reset()

    def snapshot(self) -> Snapshot:
        """The state, as plain values."""
        return snapshots.begin(
            _KIND,
            spec=self.spec.digest,
            position=self.position,
            rest=self.rest.copy(),  # emphasised already, exact in either dtype
            last=np.full(1, self._last),
            deltas=[stage.snapshot() for stage in self._deltas],
            closed=self._closed,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a front end with the same specification."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "spec", self.spec.digest)
        rest = np.asarray(values.get("rest"))
        deltas = values.get("deltas")
        fits = rest.ndim == 1 and rest.dtype in (np.float32, np.float64) and len(rest) < self._n_fft
        if not fits or not isinstance(deltas, list) or len(deltas) != len(self._deltas):
            raise SnapshotInvalid(
                "snapshot of 'mfcc': samples or deltas do not fit these features; save it again"
            )
        last = snapshots.array(values, "last", "float32", (1,))
        self.reset(snapshots.number(values, "position"))
        for stage, state in zip(self._deltas, deltas, strict=True):
            stage.restore(state)
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)
        self._last = last[0]
        self._closed = bool(values.get("closed"))

    def _empty(self) -> None:
        self._filled = 0  # samples in the buffer
        self._row = 0  # the window that the next frame lies in
        self._begin = 0  # where it begins: row * hop_length
        self._away = None

    def _memory(self, rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Zeros, and every place in them where a frame can begin as one view: row r is buffer[r * hop :][:n_fft]."""
        buffer = np.zeros(self._n_fft + rows * self._hop, self._kernel.dtype)
        step = buffer.strides[0]
        frames = as_strided(buffer, (rows, self._n_fft), (self._hop * step, step), writeable=False)
        return buffer, frames

    def _push_blocks(self, x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Take all of x, through a larger memory as often as it takes; frames go to out (frames, 1, width)."""
        buffer, places = self._memory(ROWS)
        rest = self._buffer[self._begin : self._filled]
        filled = len(rest)
        buffer[:filled] = rest
        done = taken = 0
        while taken < len(x) or done < len(out):
            part = x[taken : taken + len(buffer) - filled]
            buffer[filled : filled + len(part)] = part
            filled += len(part)
            taken += len(part)
            ready = min(1 + (filled - self._n_fft) // self._hop, ROWS)
            if ready > 0:
                self._kernel.compute(places[:ready], out[done : done + ready])
                done += ready
                begin = ready * self._hop
                # Overlapping move within one array: NumPy takes care of the order.
                buffer[: filled - begin] = buffer[begin:filled]
                filled -= begin
        self._buffer[:filled] = buffer[:filled]
        self._filled, self._begin, self._row = filled, 0, 0

    def _consume(self, frames: int) -> None:
        self._row += frames
        self._begin = self._row * self._hop

    def _make_room(self) -> None:
        """Move what is not yet used to the front. Rare: once in LIVE_ROWS hops."""
        if self._row:
            rest = self._filled - self._begin
            # Overlapping move within one array: NumPy takes care of the order.
            self._buffer[:rest] = self._buffer[self._begin : self._filled]
            self._filled, self._begin, self._row = rest, 0, 0

    def _emphasise(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        y: NDArray[np.float32] = x.copy()
        y[1:] -= self._emphasis * x[:-1]
        y[0] -= self._emphasis * self._last
        self._last = x[-1]
        return y

    def _with_deltas(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [features]
        for stage in self._deltas:
            parts.append(stage.push(parts[-1]))
        return np.concatenate(parts, axis=1)


class MfccPicture:
    """The log-mel spectrum behind MFCC frames, for the dashboard: see Picture.

    With fewer coefficients than bands it is the least-squares answer: the spectrum as smooth as the model sees it.
    Going back from the mean of a column's frames is exact, because the way back is linear.
    """

    def __init__(self, spec: MfccSpec) -> None:
        self.bands = spec.n_mels
        self.centres = mel_edges(spec)[1:-1]
        self.depth = spec.n_mels if spec.n_mfcc is None else spec.n_mfcc
        self._matrix: NDArray[np.float64] | None = None
        if spec.n_mfcc is not None:
            inverse = np.linalg.pinv(dct_matrix(spec.n_mfcc, spec.n_mels, spec.dct_norm))
            self._matrix = np.asarray(inverse.T, dtype=np.float64)

    def prepare(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Picture: the static coefficients."""
        return frames[:, : self.depth]

    def show(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """See Picture."""
        if self._matrix is None:
            return mean
        # By einsum: BLAS would give a product of this size to threads, which then spin between two pictures and
        # cost half a core.
        return np.asarray(np.einsum("tk,kb->tb", mean, self._matrix))
