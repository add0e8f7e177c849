"""torch.nn.Module -> offline ONNX graph with free batch and time, through two exporters.

The tracing exporter is the first choice: it takes a tenth of a second where torch.export takes three. What it cannot
write, or what cannot be streamed as it writes it, goes through torch.export, with recurrent layers swapped for fused
operators. Neither is trusted: ``export.conversion.equivalence`` compares the result with the module itself.
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

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.conversion.annotation import annotate
from export.conversion.cleaning import clean
from export.conversion.fused_layers import swap
from export.conversion.input_layout import InputLayout
from export.conversion.plain_modules import make_plain, own_copy
from export.recurrences import (
    NOTHING_REPEATS,
    ComplexAsPairs,
    FrameWrites,
    Stepwise,
    roll,
    scans_in_turn,
    short_examples,
    step_by_step,
    work_over_frames,
)
from export.streaming.loops import fuse_loops
from stream.errors import ExportError, NotStreamable

_OPSET = 18
_MANY_OPERATORS = 4000  # of a short sound: a sound some times as long would take minutes


class Whole(nn.Module):
    """A network as a function (N, T, F) float32 -> its first output, whole sequence.

    Attributes:
        net: a copy of the network, in eval mode, on the CPU.
        at_once: recurrences were found in it that it computes for all frames at once, by powers that may overflow.
        reads_its_output: as a last call: what ``FrameWrites`` holds back is put together when it is read.
    """

    def __init__(self, module: nn.Module, layout: InputLayout, output_index: int = 0) -> None:
        super().__init__()
        # A script cannot be copied whole, and nothing here changes it.
        scripted = isinstance(module, torch.jit.ScriptModule)
        self.net = module if scripted else own_copy(module).cpu().float()
        self.eval()  # the wrapper too: exporters restore the mode of the root, and with it of all below
        self.layout = layout
        self.output_index = output_index
        self.at_once = self.reads_its_output = False
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
        return y.clone() if self.reads_its_output else y

    def in_double(self, x: NDArray[Any]) -> NDArray[Any]:
        """(N, T, F) -> its first output, computed in float64."""
        return np.asarray(self.doubled()(torch.from_numpy(x).double()).numpy())

    def doubled(self) -> Callable[[Tensor], Tensor]:
        """The same function of (N, T, F) float64, computed in float64."""
        double = copy.copy(self)
        double._modules = {"net": _copied(self.net).double()}
        for tensor in [*double.parameters(), *double.buffers()]:
            if tensor.dtype == torch.complex64:
                tensor.data = tensor.data.to(torch.complex128)

        def run(x: Tensor) -> Tensor:
            usual = torch.get_default_dtype()
            torch.set_default_dtype(torch.float64)  # for tensors that the network makes itself
            try:
                with torch.no_grad():
                    y: Tensor = double(x)
                    return y
            finally:
                torch.set_default_dtype(usual)

        return run


def _copied(module: nn.Module) -> nn.Module:
    """A copy; a script can only be copied by writing and reading it."""
    if not isinstance(module, torch.jit.ScriptModule):
        return copy.deepcopy(module)
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    copied: nn.Module = torch.jit.load(buffer)  # type: ignore[no-untyped-call]
    return copied


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
            optimize=False,  # its rules take 1e-8 for 0; see export.conversion.cleaning
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
    with silenced(), _attention_as_written(), contextlib.nullcontext() if scripted else ComplexAsPairs():
        torch.onnx.export(
            _traced(whole, example) if scripted else whole,
            (example,),
            buffer,  # type: ignore[arg-type]  # the tracing exporter takes a file object
            dynamo=False,
            opset_version=_OPSET,
            input_names=["features"],
            output_names=["offline"],
            dynamic_axes={"features": {0: "N", 1: "T"}},
            verbose=True,  # keeps the lines of the user's code; what it prints is silenced
        )
    return onnx.load_from_string(buffer.getvalue())


def by_rolling(whole: Whole, example: Tensor) -> onnx.ModelProto:
    """Trace a network that loops over its frames on a short sound, and put loops in place of their repetitions.

    Raises:
        NotStreamable: frames are left that no loop was found for.
    """
    original, whole = whole, copy.deepcopy(whole)
    whole.reads_its_output = True
    make_plain(whole)
    traced = step_by_step(whole, whole.doubled(), example) or whole
    original.at_once = traced is not whole
    reason = ""
    for short in short_examples(whole, example):
        buffer = io.BytesIO()
        with silenced(), _attention_as_written(), scans_in_turn(), FrameWrites(), ComplexAsPairs():
            torch.onnx.export(
                traced,
                (short,),
                buffer,  # type: ignore[arg-type]  # the tracing exporter takes a file object
                dynamo=False,
                opset_version=17,
                do_constant_folding=False,
                input_names=["features"],
                output_names=["offline"],
                dynamic_axes={"features": {0: "N", 1: "T"}},
            )
        graph = onnx.load_from_string(buffer.getvalue())
        rolled, problem = roll(graph, short.numpy())
        ends = isinstance(traced, Stepwise) and not traced.loops  # nothing but kernels that end
        if not problem or (problem == NOTHING_REPEATS and ends):
            return fuse_loops(rolled, some=True)
        reason = reason or problem
        if len(graph.graph.node) > _MANY_OPERATORS:
            break
    reason = reason or "it runs at few lengths only"
    raise NotStreamable(
        f"the loop over frames in forward could not be found in what it computes ({reason}); write the step as "
        "forward(x, state) -> (scores, state), with x one frame (N, F) or a chunk (N, T, F)"
    )


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
EXPORTERS: dict[str, Exporter] = {"tracing": by_tracing, "torch.export": by_torch_export}
LOOPS: dict[str, Exporter] = {"tracing of its loops": by_rolling}


def exporters_for(whole: Whole, example: Tensor) -> dict[str, Exporter]:
    """The exporters to try in turn: a network that loops over its frames would be unrolled by the usual ones.

    Raises:
        NotStreamable: it transforms the whole sound, and that is no recurrence.
    """
    work = work_over_frames(whole, example)
    if work == "sums" and step_by_step(whole, whole.doubled(), example) is None:
        work = "layers"
    return EXPORTERS if work == "layers" else LOOPS


def offline_graph(exporter: str, whole: Whole, example: Tensor) -> onnx.ModelProto:
    """Run one exporter.

    Raises:
        ExportError: it failed; one line of its reason.
    """
    try:
        with torch.no_grad():
            graph = {**EXPORTERS, **LOOPS}[exporter](whole, example)
    except NotStreamable:
        raise
    except Exception as error:  # exporters raise every kind of exception
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # torch colours its messages
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        reason = lines[0] if lines else type(error).__name__
        raise ExportError(f"{exporter}: {reason[:300]}") from error
    annotate(graph, whole)
    x = example.numpy()
    return clean(graph, [x, x[:1], np.concatenate([x, x], axis=1)])


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread: small layers wait for each other more than they gain, for seconds where cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Silence the exporters' progress, warnings and log lines; exceptions pass.

    The tracing exporter prints graphs from C++, which knows nothing of ``sys.stdout``.
    """
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    printer = torch._C._jit_onnx_log
    torch._C._jit_onnx_log = lambda *_: None
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
        torch._C._jit_onnx_log = printer
