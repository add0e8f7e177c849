"""Lower bounds of what a hop can cost: its arithmetic alone, and a call that computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from stream.bench.graphs import identity_model
from stream.bench.timing import Case, Timing
from stream.features.kernel import Kernel, kernel_name, make_kernel
from stream.features.numpy_kernel import NumpyKernel
from stream.features.spec import FeatureSpec, MfccSpec
from stream.inference.options import CPU, create_session
from stream.inference.session import Model

LONG_STEPS = 1000  # in one call, so many that the cost of the call itself no longer counts


def kernel_cases(spec: FeatureSpec, sound: NDArray[np.float32]) -> list[Case]:
    """The feature kernel in use, on one frame; NumPy's beside it where the compiled one is in use.

    None for a front end without a kernel.
    """
    if not isinstance(spec, MfccSpec):
        return []
    seconds, frame = spec.hop_length / spec.sample_rate, sound[: spec.span]
    ours = _one_frame(make_kernel(spec), frame)
    cases = [Case("kernel", "features, a frame's arithmetic", ours, seconds, 1, "frame")]
    if kernel_name(spec) == "compiled":
        other = _one_frame(NumpyKernel(spec, rows=1), frame)
        cases.append(Case("kernel_numpy", "the same by NumPy", other, seconds, 1, "frame", "kernel"))
    return cases


def _one_frame(kernel: Kernel, frame: NDArray[np.float32]) -> Callable[[], object]:
    prepared = kernel.prepare(frame.astype(kernel.dtype))
    return lambda: kernel.compute_one(prepared)


def model_bound_cases(model: Model, features: NDArray[np.float32]) -> list[Case]:
    """The arithmetic of a step, from one long call; and a call of a graph that only returns its input.

    Args:
        model: what is timed beside them.
        features: (T, F) float32, at least one frame.
    """
    card = model.card
    seconds = card.stride * card.features.hop_length / card.features.sample_rate
    many = np.resize(features, (1, LONG_STEPS * card.stride, features.shape[1]))
    one = np.ascontiguousarray(many[:, : card.stride])
    state = model.initial_state()
    session = create_session(identity_model(features.shape[1]), [CPU])
    feed = {"features": one}
    return [
        Case(
            "arithmetic",
            f"model, {LONG_STEPS} steps in one call",
            lambda: model.step(many, state),
            LONG_STEPS * seconds,
            LONG_STEPS,
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


def step_over_bound(timings: Mapping[str, Timing]) -> float:
    """The median of a step over the sum of the two lower bounds: an empty call and the arithmetic."""
    return timings["step"].median / (timings["floor"].median + timings["arithmetic"].median)
