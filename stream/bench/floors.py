"""Where the time of a hop goes: its arithmetic alone, and the price of a call that computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from stream.bench.graphs import identity_model
from stream.bench.timing import Case, Timing
from stream.features.kernel import Kernel, kernel_name, make_kernel
from stream.features.numpy_kernel import NumpyKernel
from stream.features.spec import MfccSpec
from stream.inference.options import CPU, create_session
from stream.inference.session import Model

LONG = 1000  # steps in one call, over which the price of a call no longer counts


def kernel_cases(spec: MfccSpec, sound: NDArray[np.float32]) -> list[Case]:
    """The kernel in use on one frame that lies ready; beside it NumPy's, where the compiled one is in use."""
    seconds, frame = spec.hop_length / spec.sample_rate, sound[: spec.n_fft]
    ours = _one_frame(make_kernel(spec), frame)
    cases = [Case("kernel", "features, a frame's arithmetic", ours, seconds, 1, "frame")]
    if kernel_name(spec) == "compiled":
        other = _one_frame(NumpyKernel(spec, rows=1), frame)
        cases.append(Case("kernel_numpy", "the same by NumPy", other, seconds, 1, "frame", "kernel"))
    return cases


def _one_frame(kernel: Kernel, frame: NDArray[np.float32]) -> Callable[[], object]:
    place = kernel.place(frame.astype(kernel.dtype))
    return lambda: kernel.compute_one(place)


def model_floor_cases(model: Model, features: NDArray[np.float32]) -> list[Case]:
    """A step's arithmetic, from one long call; a call of a graph that only hands its input back.

    Args:
        model: what is timed beside them.
        features: (T, F) float32, at least one frame.
    """
    card = model.card
    seconds = card.stride * card.features.hop_length / card.features.sample_rate
    many = np.resize(features, (1, LONG * card.stride, features.shape[1]))
    one = np.ascontiguousarray(many[:, : card.stride])
    state = model.initial_state()
    session = create_session(identity_model(features.shape[1]), [CPU])
    feed = {"features": one}
    return [
        Case(
            "arithmetic",
            f"model, {LONG} steps in one call",
            lambda: model.step(many, state),
            LONG * seconds,
            LONG,
            "step",
        ),
        Case(
            "floor",
            "identity graph by session.run",
            lambda: session.run(["same"], feed),
            seconds,
            1,
            "step",
            "step",
        ),
    ]


def over_floor(timings: Mapping[str, Timing]) -> float:
    """A step's median over the sum of a call's and its arithmetic's."""
    return timings["step"].median / (timings["floor"].median + timings["arithmetic"].median)
