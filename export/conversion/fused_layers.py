"""Recurrent layers that export as one fused ONNX operator.

torch's exporter unrolls or loops nn.RNN, nn.GRU and nn.LSTM when the length is free. These stand-ins have the same
weights and call the operator itself, so the graph holds what ONNX Runtime has a kernel for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# torch's gate order -> ONNX's: GRU r z n -> z r h; LSTM i f g o -> i o f c
_ORDER = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
_COPIED = (
    *("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"),
    *("mode", "proj_size"),
)


class FusedRecurrent(nn.RNNBase):
    """Stand-in for a recurrent layer, for export only: it does not compute.

    A layer's class and attributes stay as they were, because user code asks for them.
    """

    op: str

    def __init__(self, layer: nn.RNNBase) -> None:
        nn.Module.__init__(self)  # not RNNBase's, which makes weights
        for name in _COPIED:
            setattr(self, name, getattr(layer, name))
        self.nonlinearity = getattr(layer, "nonlinearity", "tanh")
        self.directions = 2 if layer.bidirectional else 1
        for depth in range(layer.num_layers):
            for kind in ("weight_ih", "weight_hh", "bias"):
                self.register_buffer(f"{kind}_{depth}", self._packed(layer, kind, depth))

    def flatten_parameters(self) -> None:
        """Nothing to do; user code may call it."""

    def _packed(self, layer: nn.RNNBase, kind: str, depth: int) -> Tensor:
        """(directions, gates * H, .) in ONNX's gate order."""
        rows = []
        for suffix in ("", "_reverse")[: self.directions]:
            if kind != "bias":
                rows.append(self._reordered(getattr(layer, f"{kind}_l{depth}{suffix}")))
                continue
            parts = [
                getattr(layer, f"{name}_l{depth}{suffix}")
                if layer.bias
                else torch.zeros(len(_ORDER[self.op]) * layer.hidden_size)
                for name in ("bias_ih", "bias_hh")
            ]
            rows.append(torch.cat([self._reordered(part) for part in parts]))
        return torch.stack([row.detach() for row in rows])

    def _reordered(self, weight: Tensor) -> Tensor:
        gates = weight.chunk(len(_ORDER[self.op]))
        return torch.cat([gates[i] for i in _ORDER[self.op]])

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if not isinstance(x, Tensor):
            raise TypeError("packed sequences cannot be exported; call the layer on the padded tensor")
        if x.dim() == 2:
            raise TypeError("a recurrent layer was called without a batch axis")
        initial = () if state is None else tuple(state) if self.op == "LSTM" else (state,)
        x = x.transpose(0, 1) if self.batch_first else x
        finals: list[list[Tensor]] = []
        for depth in range(self.num_layers):
            slices = [part[depth * self.directions : (depth + 1) * self.directions] for part in initial]
            x, *final = self._layer(x, depth, slices)
            finals.append(final)
        last = tuple(torch.cat(parts) for parts in zip(*finals, strict=True))
        y = x.transpose(0, 1) if self.batch_first else x
        return y, last if self.op == "LSTM" else last[0]

    def _layer(self, x: Tensor, depth: int, initial: list[Tensor]) -> list[Tensor]:
        frames, streams, hidden = x.shape[0], x.shape[1], self.hidden_size
        attrs: dict[str, Any] = {
            "hidden_size": hidden,
            "direction": "bidirectional" if self.directions == 2 else "forward",
        }
        if self.op == "GRU":
            attrs["linear_before_reset"] = 1
        if self.op == "RNN":
            attrs["activations"] = ["Relu" if self.nonlinearity == "relu" else "Tanh"] * self.directions
        weights = [getattr(self, f"{kind}_{depth}") for kind in ("weight_ih", "weight_hh", "bias")]
        inputs = [x, *weights] + ([None, *initial] if initial else [])
        final = [self.directions, streams, hidden]
        shapes = [[frames, self.directions, streams, hidden], final] + ([final] if self.op == "LSTM" else [])
        y, *rest = torch.onnx.ops.symbolic_multi_out(
            self.op, inputs, attrs, dtypes=[x.dtype] * len(shapes), shapes=shapes, version=14
        )
        y = y.transpose(1, 2).flatten(2) if self.directions == 2 else y.squeeze(1)
        return [y, *rest]


class FusedRNN(FusedRecurrent, nn.RNN):  # type: ignore[misc]  # one forward for all
    op = "RNN"


class FusedGRU(FusedRecurrent, nn.GRU):  # type: ignore[misc]  # one forward for all
    op = "GRU"


class FusedLSTM(FusedRecurrent, nn.LSTM):  # type: ignore[misc]  # one forward for all
    op = "LSTM"


_FUSED: dict[type[nn.RNNBase], type[FusedRecurrent]] = {
    nn.RNN: FusedRNN,
    nn.GRU: FusedGRU,
    nn.LSTM: FusedLSTM,
}


class PoolAsPlane(nn.Module):
    """nn.MaxPool1d through the 2-D operator; the 1-D one ties the graph to the example's length."""

    def __init__(self, layer: nn.MaxPool1d) -> None:
        super().__init__()
        sizes = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        kernel, stride, padding, dilation = (s if isinstance(s, int) else s[0] for s in sizes)
        self.pool = nn.MaxPool2d(
            (1, kernel), (1, stride), (0, padding), (1, dilation), ceil_mode=layer.ceil_mode
        )

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(x.unsqueeze(2))
        return pooled.squeeze(2)


def swap(root: nn.Module) -> None:
    """Replace, in place, every layer below ``root`` that has a stand-in."""
    for parent in list(root.modules()):
        for name, child in list(parent.named_children()):
            fused = next((new for old, new in _FUSED.items() if isinstance(child, old)), None)
            if fused is not None and isinstance(child, nn.RNNBase):
                setattr(parent, name, fused(child))
            elif isinstance(child, nn.MaxPool1d) and not child.return_indices:
                setattr(parent, name, PoolAsPlane(child))
