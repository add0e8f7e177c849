"""Small operations on carried states and on sets of weights."""

from __future__ import annotations

from torch import Tensor, nn

from export.models import State


def detach(state: State) -> State:
    """The same state, cut off from the graph that made it."""
    if isinstance(state, tuple):
        return tuple(detach(part) for part in state)
    return None if state is None else state.detach()


def reset_rows(state: State, rows: Tensor) -> State:
    """The state with those of its rows put back to the initial (zero) state where ``rows`` (N,) bool is True."""
    if isinstance(state, tuple):
        return tuple(reset_rows(part, rows) for part in state)
    if state is None:
        return None
    return state * (~rows).view(-1, *[1] * (state.dim() - 1)).to(state.dtype)


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, detached copies."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def average_weights(mean: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """mean <- decay * mean + (1 - decay) * weights, in place; counters are copied."""
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            mean[name].lerp_(value, 1 - decay)
        else:
            mean[name].copy_(value)
