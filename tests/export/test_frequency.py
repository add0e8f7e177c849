"""Networks with a frequency axis: what happens within a frame stays as it is, what goes over time becomes state."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from stream.errors import NotStreamable  # noqa: E402
from tests.support.conversions import compared, converted  # noqa: E402
from tests.support.family_networks import DELAYED  # noqa: E402
from tests.support.family_networks import STREAMABLE as FAMILIES  # noqa: E402
from tests.support.frequency_networks import STREAMABLE  # noqa: E402

pytestmark = pytest.mark.torch

# the tracing exporter is quicker, but has no form of Tensor.unfold with free sizes
TORCH_EXPORT = {"FullSubNet", "FullSubNet, bins slowest", "transformer encoder over a window"}


@pytest.mark.parametrize("name", [*STREAMABLE, *FAMILIES])
def test_networks_with_a_frequency_axis_equal_torch(name: str) -> None:
    build = (STREAMABLE | FAMILIES)[name]
    made, reference = converted(build, "torch.export" if name in TORCH_EXPORT else "tracing")
    assert made.delay == 0
    compared(made, reference)


@pytest.mark.parametrize("name", DELAYED)
def test_segments_are_late_by_what_they_gather(name: str) -> None:
    build, rows = DELAYED[name]
    with pytest.raises(NotStreamable, match=f"needs {rows} future frame"):
        converted(build)
    made, reference = converted(build, lookahead="delay")
    assert (made.delay, made.stride) == (rows, 1)
    compared(made, reference)
