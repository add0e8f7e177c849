"""Copies of modules in the plain form that exporters read: no wrappers, no weights that are computed in the forward."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, remove_weight_norm
from torch.nn.utils.weight_norm import WeightNorm


def own_copy(module: nn.Module) -> nn.Module:
    """A deep copy, of a module just trained too: what torch.compile wraps, at any depth, is taken out of it.

    The old ``torch.nn.utils.weight_norm`` leaves a weight with a history of gradients, which torch does not copy.
    """
    memo: dict[int, Any] = {}
    for each in module.modules():
        for value in vars(each).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    with torch.no_grad():  # or scripts copy their weights with a history
        return _unwrapped(module, memo)


def _unwrapped(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    wrapped = [each for each in module.modules() if hasattr(each, "_orig_mod")]
    for each in reversed(wrapped):  # the innermost first
        memo[id(each)] = copy.deepcopy(each._orig_mod, memo)
    return memo[id(module)] if id(module) in memo else copy.deepcopy(module, memo)


def make_plain(root: nn.Module) -> None:
    """In place: fold weight norms into the weights; LSTMs with projections and encoders in a form that exports."""
    for parent in list(root.modules()):
        _fold_norms(parent)
    for parent in list(root.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.LSTM) and child.proj_size:
                setattr(parent, name, ProjectedLstm(child))
            elif type(child) is nn.TransformerEncoder:
                setattr(parent, name, PlainEncoder(child))


def _fold_norms(module: nn.Module) -> None:
    if parametrize.is_parametrized(module):
        # torch's own removal changes the class, which copies share.
        values = {name: getattr(module, name).detach() for name in module.parametrizations}  # type: ignore[union-attr]
        module.__class__ = type(module).__bases__[0]
        del module.parametrizations
        for name, value in values.items():
            module.register_parameter(name, nn.Parameter(value, requires_grad=False))
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the old form is deprecated
                remove_weight_norm(module, hook.name)


class PlainEncoder(nn.Module):
    """nn.TransformerEncoder without its look at the values of the mask, which no exporter can follow."""

    def __init__(self, encoder: nn.TransformerEncoder) -> None:
        super().__init__()
        self.layers, self.norm = encoder.layers, encoder.norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        if src_key_padding_mask is not None:
            raise TypeError("padding masks are not known in a stream; call the encoder without")
        for layer in self.layers:
            src = layer(src, src_mask=mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)


class ProjectedLstm(nn.Module):
    """An LSTM with projections as plain ones with a matrix behind each.

    The projection feeds back: h = P m, where m is what an LSTM without one calls its hidden state. So the gates read
    R h = (R P) m, and m runs through a plain LSTM whose recurrent weights are R P.
    """

    def __init__(self, layer: nn.LSTM) -> None:
        super().__init__()
        self.batch_first, self.num_layers = layer.batch_first, layer.num_layers
        self.input_size, self.hidden_size, self.proj_size = (
            layer.input_size,
            layer.hidden_size,
            layer.proj_size,
        )
        self.bidirectional, self.bias, self.dropout = layer.bidirectional, layer.bias, layer.dropout
        self.suffixes = ("", "_reverse")[: 2 if layer.bidirectional else 1]
        self.cells, self.projections = nn.ModuleList(), nn.ParameterList()
        for depth in range(layer.num_layers):
            plain = nn.LSTM(
                getattr(layer, f"weight_ih_l{depth}").shape[1],
                layer.hidden_size,
                bias=layer.bias,
                bidirectional=layer.bidirectional,
                batch_first=layer.batch_first,
            )
            with torch.no_grad():
                for suffix in self.suffixes:
                    projection = getattr(layer, f"weight_hr_l{depth}{suffix}")
                    old = {
                        kind: getattr(layer, f"{kind}_l{depth}{suffix}")
                        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if layer.bias else 2]
                    }
                    old["weight_hh"] = (old["weight_hh"].double() @ projection.double()).float()
                    for kind, value in old.items():
                        getattr(plain, f"{kind}_l0{suffix}").copy_(value)
                    self.projections.append(nn.Parameter(projection.detach().clone(), requires_grad=False))
            self.cells.append(plain)
        self.requires_grad_(False)

    def flatten_parameters(self) -> None:
        """Nothing to do; user code may call it."""

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if state is not None:
            raise TypeError("an LSTM with proj_size and initial states given in forward; leave them out")
        hidden, cell = [], []
        for depth, cells in enumerate(self.cells):
            y, (h, c) = cells(x)
            first = depth * len(self.suffixes)
            parts = y.split(self.hidden_size, -1)
            x = torch.cat([self._project(part, first + k) for k, part in enumerate(parts)], -1)
            hidden += [self._project(h[k : k + 1], first + k) for k in range(len(parts))]
            cell.append(c)
        return x, (torch.cat(hidden), torch.cat(cell))

    def _project(self, rows: Tensor, place: int) -> Tensor:
        projected: Tensor = rows @ self.projections[place].t()
        return projected
