"""NativeKernel: features by compiled code."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.features.native.loading import Library
from stream.features.native.plan import FrameCall, Plan, make_plan, shared_plan
from stream.features.spec import MfccSpec

FEW = 64  # frames, of some two microseconds each: another thread that got the interpreter would keep it for longer

# Without an interpreter lock, every kernel needs scratch of its own.
_LOCKED: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


class NativeKernel:
    """The Kernel that calls ``mfcc.c``.

    Args:
        library: from ``library()`` or ``load``.
        spec: what to compute; see ``can``.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, library: Library, spec: MfccSpec) -> None:
        self._library = library
        self._one = library.frame
        self._spec = spec
        self._plan = shared_plan(spec) if _LOCKED else make_plan(spec)
        self._plan_address = ctypes.addressof(self._plan)
        self._own_plan: Plan | None = None  # for calls without the lock, once there is one
        self.width: int = self._plan.width
        self._n_fft = spec.n_fft
        self._row = np.empty((1, self.width), np.float32)
        self._calls: list[FrameCall] = []  # kept alive for their addresses

    @staticmethod
    def can(spec: MfccSpec) -> bool:
        """Whether the transform's length is one it knows: a power of two from 32."""
        return spec.n_fft >= 32 and spec.n_fft & (spec.n_fft - 1) == 0

    def prepare(self, frame: NDArray[Any]) -> ctypes.c_void_p:
        """The address of what the library needs to know about the frame."""
        self._check(frame[None])
        call = FrameCall(ctypes.addressof(self._plan), frame.ctypes.data, self._row.ctypes.data)
        self._calls.append(call)
        return ctypes.c_void_p(ctypes.addressof(call))

    def compute(self, frames: NDArray[Any], out: NDArray[np.float32]) -> None:
        """See Kernel."""
        self._check(frames)
        if out.shape != (len(frames), 1, self.width) or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(
                f"out {out.dtype} {out.shape}: want C-ordered float32 {(len(frames), 1, self.width)}"
            )
        stride = frames.strides[0] // frames.itemsize
        if len(frames) <= FEW:
            self._library.few(self._plan_address, frames.ctypes.data, stride, len(frames), out.ctypes.data)
            return
        self._library.features(self._own_address(), frames.ctypes.data, stride, len(frames), out.ctypes.data)

    def compute_lines(
        self, lines: NDArray[Any], sound: NDArray[Any], scale: np.float32 | None, out: NDArray[np.float32]
    ) -> None:
        """See Kernel. In one call, without the lock: another thread that got it would keep it for milliseconds."""
        (streams, length), count, frames = lines.shape, sound.shape[1], out.shape[1]
        held, hop = length - count, self._spec.hop_length
        fits = out.shape == (streams, frames, self.width) and len(sound) == streams and held >= 0
        kind = np.dtype(np.float32 if scale is None else np.int16)
        types = lines.dtype == self.dtype and out.dtype == np.float32 and sound.dtype == kind
        whole = all(array.flags.c_contiguous for array in (lines, sound, out))
        if not (fits and types and whole and (frames - 1) * hop + self._n_fft <= length):
            raise ValueError(f"lines {lines.shape}, sound {sound.shape}, out {out.shape}: do not fit")
        self._library.lines(
            self._own_address(), lines.ctypes.data, streams, held, count, sound.ctypes.data,
            0.0 if scale is None else float(scale), hop, frames, out.ctypes.data,
        )  # fmt: skip

    def _own_address(self) -> int:
        """Of a plan for calls without the lock."""
        if self._own_plan is None:
            self._own_plan = make_plan(self._spec)
        return ctypes.addressof(self._own_plan)

    def compute_one(self, prepared: ctypes.c_void_p) -> NDArray[np.float32]:
        """See Kernel."""
        self._one(prepared)
        row: NDArray[np.float32] = self._row.copy()
        return row

    def _check(self, frames: NDArray[Any]) -> None:
        # The library trusts its caller; this is where trust is earned.
        if (
            frames.dtype != self.dtype
            or frames.ndim != 2
            or frames.shape[1] != self._n_fft
            or frames.strides[1] != 4
        ):
            raise ValueError(
                f"frames {frames.dtype} {frames.shape}, strides {frames.strides}: want float32 (T, {self._n_fft})"
            )
