"""torch.nn.Module -> offline ONNX graph with free batch and time, through two exporters.

torch.export is the first choice, with recurrent layers swapped for fused operators; the older tracing exporter is
the second. Neither is trusted: ``export.conversion.equivalence`` compares the result with the module itself.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from export.conversion.fused_layers import swap
from export.conversion.input_layout import InputLayout
from export.conversion.plain_modules import make_plain, own_copy
from stream.errors import ExportError

_OPSET = 18


class Whole(nn.Module):
    """A network as a function (N, T, F) float32 -> its first output, whole sequence.

    Attributes:
        net: a copy of the network, in eval mode, on the CPU.
    """

    def __init__(self, module: nn.Module, layout: InputLayout, output_index: int = 0) -> None:
        super().__init__()
        # A script cannot be copied whole, and nothing here changes it.
        scripted = isinstance(module, torch.jit.ScriptModule)
        self.net = module if scripted else own_copy(module).cpu().float()
        self.eval()  # the wrapper too: exporters restore the mode of the root, and with it of all below
        self.layout = layout
        self.output_index = output_index
        for parameter in () if scripted else self.parameters():
            parameter.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        y: Any = self.net(self.layout.to_network(x))
        if isinstance(y, dict):
            y = tuple(y.values())
        while isinstance(y, (tuple, list)):
            y = y[self.output_index]
        if not isinstance(y, Tensor):
            raise TypeError(f"the network returned {type(y).__name__}, not a tensor")
        return y


def by_torch_export(whole: Whole, example: Tensor) -> onnx.ModelProto:
    """Export through torch.export, recurrent layers as fused operators."""
    whole = copy.deepcopy(whole)
    make_plain(whole)
    swap(whole)
    free = torch.export.Dim.DYNAMIC
    with silenced(), _attention_as_written():
        program = torch.onnx.export(
            whole,
            (example,),
            dynamo=True,
            opset_version=_OPSET,
            dynamic_shapes=({0: free, 1: free},),
            input_names=["features"],
            output_names=["offline"],
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def by_tracing(whole: Whole, example: Tensor) -> onnx.ModelProto:
    """Export through the older exporter."""
    buffer = io.BytesIO()
    scripted = any(isinstance(module, torch.jit.ScriptModule) for module in whole.modules())
    if not scripted:
        whole = copy.deepcopy(whole)
        make_plain(whole)
    with silenced(), _attention_as_written():
        torch.onnx.export(
            _traced(whole, example) if scripted else whole,
            (example,),
            buffer,  # type: ignore[arg-type]  # the tracing exporter takes a file object
            dynamo=False,
            opset_version=_OPSET,
            input_names=["features"],
            output_names=["offline"],
            dynamic_axes={"features": {0: "N", 1: "T"}},
        )
    return onnx.load_from_string(buffer.getvalue())


def _traced(whole: Whole, example: Tensor) -> Any:
    """A script inside a trace."""
    if not any(True for _ in whole.parameters()):
        raise TypeError(
            "torch.jit.freeze left nothing of it to be traced; export the module it was made from"
        )
    return torch.jit.trace(whole, example, check_trace=False)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _attention_as_written() -> Iterator[None]:
    """Attention layers as their operators: the fused one that eval mode takes has no ONNX form."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


Exporter = Callable[[Whole, Tensor], onnx.ModelProto]
EXPORTERS: dict[str, Exporter] = {"torch.export": by_torch_export, "tracing": by_tracing}


def offline_graph(exporter: str, whole: Whole, example: Tensor) -> onnx.ModelProto:
    """Run one exporter.

    Raises:
        ExportError: it failed; one line of its reason.
    """
    try:
        with torch.no_grad():
            return EXPORTERS[exporter](whole, example)
    except Exception as error:  # exporters raise every kind of exception
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # torch colours its messages
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        reason = lines[0] if lines else type(error).__name__
        raise ExportError(f"{exporter}: {reason[:300]}") from error


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Silence the exporters' progress, warnings and log lines; exceptions pass."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
