"""Idioms of causal networks: each becomes state and equals torch, or is refused by name with the way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from stream.errors import ExportError, NotStreamable  # noqa: E402
from tests.support.conversions import compared, converted  # noqa: E402
from tests.support.export_networks import C, F  # noqa: E402
from tests.support.idiom_networks import DELAYED, REFUSED, STREAMABLE, Windowed  # noqa: E402

pytestmark = pytest.mark.torch

# What the quicker exporter writes as a branch, ties to the example's length, or does not know.
TORCH_EXPORT = {
    "h_n by layer and direction",
    "unfolded in time",
    "attention over 7 frames, layer",
    "attention over 7 frames, layer, time first",
}


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")  # torch's, of its own speed
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch.compile's own import
@pytest.mark.parametrize("name", STREAMABLE)
def test_idioms_equal_torch(name: str) -> None:
    made, reference = converted(STREAMABLE[name], "torch.export" if name in TORCH_EXPORT else "tracing")
    assert made.delay == 0
    compared(made, reference, steps=200 if "150" in name else 120)


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("name", ["replicate padding", "LSTM with projections", "mish"])
@pytest.mark.parametrize("opset", [18, 21])
def test_idioms_at_other_opsets(name: str, opset: int) -> None:
    compared(*converted(STREAMABLE[name], opset=opset))


@pytest.mark.parametrize("name", DELAYED)
def test_what_is_subsampled_and_repeated_is_late_by_what_it_gathers(name: str) -> None:
    build, rows = DELAYED[name]
    with pytest.raises(NotStreamable, match=f"needs {rows} future frame"):
        converted(build)
    made, reference = converted(build, lookahead="delay")
    assert (made.delay, made.stride) == (rows, 1)
    compared(made, reference)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_idiom_is_refused_with_the_reason(name: str) -> None:
    build, words = REFUSED[name]
    with pytest.raises(NotStreamable, match=r"^(operator|layer) '") as refusal:
        converted(build)
    assert words in str(refusal.value)
    assert "; " in str(refusal.value)  # reason; way out


def test_a_window_of_attention_is_kept_as_keys_and_values() -> None:
    made, _ = converted(lambda: Windowed("scaled", 7))
    kept = [state.shape for state in made.states if state.dtype == "float32"]
    assert sorted(kept) == [(-1, 2, 4, 6), (-1, 2, 6, 4)]
    assert made.receptive_field == 7


class Wrapped(nn.Module):
    """A network of which a part is a script."""

    def __init__(self, part: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        self.rnn, self.head = part(Rows()), nn.Linear(8, C)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x))


class Rows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rnn = nn.Conv1d(F, 8, 3), nn.GRU(8, 8, batch_first=True)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(functional.pad(x.transpose(1, 2), [2, 0])).transpose(1, 2)
        return self.rnn(x)[0]


def script(network: nn.Module) -> nn.Module:
    return torch.jit.script(network)


def traced(network: nn.Module) -> nn.Module:
    return torch.jit.trace(network, torch.randn(2, 30, F), check_trace=False)


@pytest.mark.filterwarnings("ignore")  # torch calls scripts deprecated
@pytest.mark.parametrize("form", [script, traced])
@pytest.mark.parametrize("whole", [True, False])
def test_scripts_equal_torch(form: Callable[[nn.Module], nn.Module], whole: bool) -> None:
    compared(*converted(lambda: form(Wrapped(lambda part: part)) if whole else Wrapped(form)))


@pytest.mark.filterwarnings("ignore")
def test_a_frozen_script_is_refused_with_the_way_out() -> None:
    with pytest.raises(ExportError, match=r"torch\.jit\.freeze.*; export the module it was made from"):
        converted(lambda: torch.jit.freeze(torch.jit.script(Rows())))
