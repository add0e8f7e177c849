"""Networks with a frequency axis: what happens within a frame stays as it is, what goes over time becomes state."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from tests.support.conversions import compared, converted  # noqa: E402
from tests.support.frequency_networks import STREAMABLE  # noqa: E402

pytestmark = pytest.mark.torch

# the tracing exporter is quicker, but has no form of Tensor.unfold with free sizes
TORCH_EXPORT = {"FullSubNet", "FullSubNet, bins slowest"}


@pytest.mark.parametrize("name", STREAMABLE)
def test_networks_over_frequency_equal_torch(name: str) -> None:
    made, reference = converted(STREAMABLE[name], "torch.export" if name in TORCH_EXPORT else "tracing")
    assert made.delay == 0
    compared(made, reference)
