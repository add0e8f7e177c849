"""NativeKernel: features by compiled code."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.features.native.loading import Library
from stream.features.native.plan import make_plan
from stream.features.spec import FeatureSpec


class NativeKernel:
    """The Kernel that calls ``mfcc.c``.

    Args:
        library: from ``library()`` or ``load``.
        spec: what to compute; see ``can``.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, library: Library, spec: FeatureSpec) -> None:
        self._short, self._long = library
        self._plan = make_plan(spec)
        self.width: int = self._plan.width
        self._n_fft = spec.n_fft
        self._row = np.empty((1, self.width), np.float32)
        # Python objects made once: turning a number into a C argument costs as much as the DCT.
        self._address = ctypes.c_void_p(ctypes.addressof(self._plan))
        self._none, self._one = ctypes.c_ssize_t(0), ctypes.c_ssize_t(1)
        self._row_address = ctypes.c_void_p(self._row.ctypes.data)

    @staticmethod
    def can(spec: FeatureSpec) -> bool:
        """Whether the transform's length is one it knows: a power of two from 32."""
        return spec.n_fft >= 32 and spec.n_fft & (spec.n_fft - 1) == 0

    def place(self, frame: NDArray[Any]) -> ctypes.c_void_p:
        """The address of the frame's first sample."""
        self._check(frame[None])
        return ctypes.c_void_p(frame.ctypes.data)

    def compute(self, frames: NDArray[Any], out: NDArray[np.float32]) -> None:
        """See Kernel."""
        self._check(frames)
        if out.shape != (len(frames), 1, self.width) or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(
                f"out {out.dtype} {out.shape}: want C-ordered float32 {(len(frames), 1, self.width)}"
            )
        stride = frames.strides[0] // frames.itemsize
        self._long(self._address, frames.ctypes.data, stride, len(frames), out.ctypes.data)

    def compute_one(self, place: ctypes.c_void_p) -> NDArray[np.float32]:
        """See Kernel."""
        self._short(self._address, place, self._none, self._one, self._row_address)
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
