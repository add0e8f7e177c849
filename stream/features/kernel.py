"""Kernel: the arithmetic from frames of samples to features, by compiled code where there is some, else by NumPy."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.features.spec import FeatureSpec, MfccSpec

# Frames computed together: enough to amortise the calls, and scratch stays in the second-level cache.
ROWS = 64


class Kernel(Protocol):
    """Static features (no deltas) of frames. Holds scratch: one per stream or thread, never shared.

    Every frame is computed on its own and in one fixed order, so its bits do not depend on the frames beside it.
    Two kernels agree to rounding, not to the bit: a process uses one of them for all its streams.

    Attributes:
        width: features a row.
        dtype: of the samples it takes.
    """

    width: int
    dtype: np.dtype[Any]

    def compute(self, frames: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Features of each row.

        Args:
            frames: (T, n_fft) of ``dtype``, any stride between rows, none within; not changed.
            out: (T, 1, width) float32, C order, written.
        """

    def compute_lines(
        self, lines: NDArray[Any], sound: NDArray[Any], scale: np.float32 | None, out: NDArray[np.float32]
    ) -> None:
        """Features of the frames, a hop apart, that new samples of several streams complete.

        Args:
            lines: (N, held + n) of ``dtype``, C order. What each stream holds comes first, and stays; its new samples
                are written behind it.
            sound: (N, n) the new samples; float32, or int16 where there is a scale. C order.
            scale: by which int16 becomes float32.
            out: (N, T, width) float32, C order, written.
        """

    def prepare(self, frame: NDArray[Any]) -> Any:
        """What ``compute_one`` wants to know about a frame (n_fft,) that stays where it is in memory."""

    def compute_one(self, prepared: Any) -> NDArray[np.float32]:
        """The twin of ``compute`` for a live hop: (1, width) float32, a new array, equal to the bit.

        ``compute`` takes 2.9 times as long for one frame (7 against 2.5 µs): five arguments and two views to check.
        """


def kernel_name(spec: FeatureSpec) -> str:
    """What computes these features in this process: "compiled", "numpy", or "none" for plain samples."""
    from stream.features.native import NativeKernel

    if not isinstance(spec, MfccSpec):
        return "none"
    return "compiled" if isinstance(make_kernel(spec), NativeKernel) else "numpy"


def make_kernel(spec: MfccSpec, rows: int = ROWS) -> Kernel:
    """The fastest kernel there is for these features: compiled if it was built and knows the FFT length.

    Args:
        spec: what to compute.
        rows: most frames per call of ``compute``.
    """
    from stream.features.native import NativeKernel, library
    from stream.features.numpy_kernel import NumpyKernel

    found = library()
    if found is not None and NativeKernel.can(spec):
        return NativeKernel(found, spec)
    return NumpyKernel(spec, rows)
