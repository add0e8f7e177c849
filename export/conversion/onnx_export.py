"""to_onnx(): a network that maps a sequence to scores per frame -> one streaming ONNX file, checked to be equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import onnxruntime as ort
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx.checker import ValidationError
from onnx.external_data_helper import load_external_data_for_model
from torch import nn

from export.atomic import write_bytes
from export.conversion.cleaning import clean
from export.conversion.equivalence import EquivalenceReport, Reference, check_equivalence
from export.conversion.fault_localisation import locate_exporter_fault, most_helpful
from export.conversion.fixed_sizes import check_all_frames_read, check_freed, decided, fixed_sizes, free
from export.conversion.golden import golden_audio
from export.conversion.input_layout import InputLayout
from export.conversion.observation import check_network
from export.conversion.operators import check_no_chance, check_operators
from export.conversion.packing import completed, packed
from export.conversion.plain_modules import own_copy
from export.conversion.stream_operators import forms_of, quickest
from export.conversion.torch_export import Whole, exporters_for, offline_graph, one_thread
from export.models.weights import load_weights
from export.recurrences import StepGraph, roll, step_form, takes_states
from export.streaming import Streaming, streamify
from export.streaming.convert import Lookahead
from export.streaming.loops import fuse_loops
from export.streaming.probe import open_session
from stream.errors import ExportError, ModelError, NotStreamable, ParityError, UsageError
from stream.features.frontend import extract
from stream.foreign import model_kind
from stream.inference.card import ModelCard
from stream.inference.onnx_file import read_model_file

Array = NDArray[np.float32]
Network = nn.Module | onnx.ModelProto | str | Path
ATTENTION_FRAMES = 1000  # at least, in comparisons with attention over time
COMPARED_SECONDS = 60.0  # of features, in every comparison with the network


def to_onnx(
    network: Network,
    path: str | Path,
    card: ModelCard,
    example: Any = None,
    *,
    lookahead: Lookahead = "refuse",
    batch_axis: int = 0,
    time_axis: int = 1,
    output_index: int = 0,
    activation_inside: bool = False,
    opset: int = 17,
    streams: int = 1,
    seed: int = 0,
    weights: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> ModelCard:
    """Export a network as a stateful streaming graph that was compared with the network itself.

    Args:
        network: a torch module in any state (it is copied, not changed), an offline ONNX graph, or the path of one.
            It takes one float tensor, a whole sequence of features, and returns scores per frame, or one vector of
            scores for the sequence so far (last frame, mean or maximum over time). Or it takes a frame (N, F) or a
            chunk (N, T, F) and its state, and returns scores and the next state.
        path: the file to write. It appears only if every comparison has passed.
        card: labels, activation and feature settings. States, stride and the rest are filled in here; ``delay`` is
            the delay the network was trained with, to which delayed layers add theirs.
        example: features as the network takes them, float32, of realistic level; None = those of a synthetic
            sound, (N, T, F). For a module that takes its state also (features, first state).
        lookahead: "refuse" layers that need future frames, or "delay" the scores until these have arrived.
        batch_axis, time_axis: which axes of ``example`` are streams and frames.
        output_index: which output, if the network returns several.
        activation_inside: the network returns probabilities already. Otherwise ``card.activation`` is appended,
            unless the graph ends in it.
        opset: ONNX operator set of the file, 17 to 21.
        streams: that one session will mostly run at once. Where ONNX Runtime has an operator made for streams, a step
            of so many is timed here, and the quicker form is written.
        seed: of the synthetic features the comparison uses.
        weights: a ``.safetensors`` file or a state dict of torch.save, loaded into the copy of a torch module first.
        progress: told what is done, a few words each time.

    Returns:
        The completed card, as it stands in the file.

    Raises:
        NotStreamable: a layer looks ahead or cannot be carried as state; named, with what to use instead.
        ParityError: the result differs from the network by more than 1e-5; nothing is written.
        ExportError: the network cannot be exported at all, or does not fit the card.
        UsageError: the example does not fit the axes or the card.
        CheckpointError: the weights are not those of the module.
    """
    if lookahead not in get_args(Lookahead):
        raise UsageError(f"lookahead {lookahead!r}: must be one of {', '.join(get_args(Lookahead))}")
    if streams < 1:
        raise UsageError(f"streams {streams}: at least 1")
    say = progress or (lambda _: None)
    if weights is not None:
        if not isinstance(network, nn.Module) or isinstance(network, torch.jit.ScriptModule):
            raise UsageError("weights: they are for a torch module; an ONNX graph or a script has its own")
        network = own_copy(network)
        load_weights(network, weights)
    with one_thread():
        state = None
        if isinstance(example, (tuple, list)) and len(example) == 2 and isinstance(network, nn.Module):
            example, state = example
        features, layout = _example(example, card, batch_axis, time_axis)
        if isinstance(network, nn.Module):
            network = _with_its_state(network, features, state)
        activation = None if activation_inside else card.activation
        faults: list[ExportError] = []
        for exporter, offline, reference in _offline_graphs(
            network, layout, features, output_index, opset, faults, say
        ):
            say("write the streaming graph")
            try:
                made = streamify(
                    offline,
                    features,
                    lookahead=lookahead,
                    activation=activation,
                    features=card.input,
                    output=card.output,
                    opset=opset,
                )
                _check_classes(made, card)
                check_operators(made.model, from_torch=exporter != "")
                appended = None if made.activated else activation
                frames = int(COMPARED_SECONDS * card.features.frame_rate)
                if made.window:  # offline, attention over time costs the square of the length
                    frames = min(frames, max(8 * made.window, ATTENTION_FRAMES))
                reference = replace(reference, activation=appended)
                made, report, operators = _proven(
                    made,
                    quickest(made, streams),
                    partial(
                        check_equivalence,
                        reference=reference,
                        example=features,
                        frames=frames,
                        spec=card.features,
                        seed=seed,
                        progress=say,
                    ),
                    say,
                )
            except (NotStreamable, ParityError) as error:
                faults.append(error)
                continue
            if "exact zeros" in report.deaf:
                raise NotStreamable(
                    "the network itself gives NaN or infinity for exact zeros, which live sound may hold; put a floor "
                    "under what it divides by or takes the logarithm of, such as x / (norm + 1e-6)"
                )
            finished = completed(card, made, report, exporter, operators)
            write_bytes(path, packed(made, finished, features))
            return finished
        raise most_helpful(faults)


def _proven(
    made: Streaming,
    operators: frozenset[str],
    prove: Callable[[Streaming], EquivalenceReport],
    say: Callable[[str], None],
) -> tuple[Streaming, EquivalenceReport, frozenset[str]]:
    """The graph in the form to write, its proof, and the operators for streams in it.

    With operators it is proven in every form that a runtime may make of it. Where one of them is not equal, the graph
    is written in plain operators.

    Raises:
        ParityError: in plain operators it is not equal either.
    """
    try:
        for form in forms_of(made, operators):
            report = prove(form)
        return form, report, operators
    except ParityError as error:
        if not operators:
            raise
        say(f"written without {', '.join(sorted(operators))}: {error}")
    return made, prove(made), frozenset()


def _example(example: Any, card: ModelCard, batch_axis: int, time_axis: int) -> tuple[Array, InputLayout]:
    """The example as (N, T, F) and how to give it to the network."""
    spec = card.features
    if example is None:
        sound = np.tile(golden_audio(spec.sample_rate), 3).astype(np.float32) / 32768
        return extract(sound, spec)[None], InputLayout.of((1, 2, spec.width), batch_axis, time_axis)
    array = example.detach().cpu().numpy() if isinstance(example, torch.Tensor) else np.asarray(example)
    layout = InputLayout.of(array.shape, batch_axis, time_axis)
    features = layout.from_network(array.astype(np.float32))
    if features.shape[2] != spec.width:
        raise UsageError(
            f"the example has {features.shape[2]} features a frame, the card {spec.width}; "
            "check time_axis, or the card's features"
        )
    if not features.size or not np.isfinite(features).all():
        raise UsageError("the example is empty or not finite; give real features")
    return features, layout


def _offline_graphs(
    network: Network,
    layout: InputLayout,
    features: Array,
    output_index: int,
    opset: int,
    faults: list[ExportError],
    say: Callable[[str], None],
) -> Iterator[tuple[str, onnx.ModelProto, Reference]]:
    """(exporter, offline graph, what to compare it with); torch modules through one exporter after the other."""
    if not isinstance(network, nn.Module):
        loaded = _load(network)
        check_no_chance(loaded)
        if takes_states(loaded.graph):
            step = StepGraph(loaded, features.shape[2], output_index, opset)
            yield "", step.offline(), Reference(step.run)
            return
        chosen = _select(loaded, output_index)
        sizes = fixed_sizes(chosen, layout)
        original = layout.prepend(chosen, features.shape[2])
        fused = fuse_loops(chosen)
        graph = layout.prepend(free(fused, sizes) if sizes else fused, features.shape[2])
        if sizes:
            graph = _freed(original, graph, sizes, features, _name_of(network))
        else:
            check_all_frames_read(original, features, _name_of(network))
        session = _session(graph if sizes else original)
        name = session.get_inputs()[0].name
        graph = clean(graph, [features[:1, :96], np.concatenate([features, features], axis=1)])
        yield "", graph, Reference(lambda x: session.run(None, {name: x})[0])
        return
    whole = Whole(network, layout, output_index)

    def run_torch(x: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            return np.asarray(whole(torch.from_numpy(x)).numpy())

    tiles = (-(-2 // features.shape[0]), -(-96 // features.shape[1]), 1)
    sample = torch.from_numpy(np.tile(features, tiles)[:4])
    check_network(whole, sample)
    for exporter in exporters_for(whole, sample):
        say(f"export through {exporter}")
        try:
            graph = offline_graph(exporter, whole, sample)
        except ExportError as error:
            faults.append(error)
            continue
        yield (
            exporter,
            graph,
            Reference(run_torch, None, _fault_finder(whole, graph), whole.in_double, whole.at_once),
        )


def _freed(
    original: onnx.ModelProto, freed: onnx.ModelProto, sizes: dict[str, int], features: Array, path: str
) -> onnx.ModelProto:
    """The freed graph, proven; a loop over frames that was unrolled for one length is put together again.

    Raises:
        NotStreamable: it does not give what the original gave.
    """
    if "T" in sizes:
        x = np.tile(features, (1, -(-sizes["T"] // features.shape[1]), 1))[:, : sizes["T"]]
        rolled, problem = roll(decided(freed, x), x)
        freed = freed if problem else rolled
    check_freed(original, freed, sizes, features, path)
    return freed


def _with_its_state(network: nn.Module, features: Array, state: Any) -> nn.Module:
    """The module, or the network that it is if it takes its state as an argument."""
    if isinstance(network, torch.jit.ScriptModule):
        return network
    inner = own_copy(network).cpu().float().eval()
    return step_form(inner, torch.from_numpy(features), state) or network


def _fault_finder(whole: Whole, graph: onnx.ModelProto) -> Any:
    return lambda x: locate_exporter_fault(whole, graph, x)


def _name_of(network: onnx.ModelProto | str | Path) -> str:
    return "the graph" if isinstance(network, onnx.ModelProto) else str(network)


def _load(network: onnx.ModelProto | str | Path) -> onnx.ModelProto:
    if isinstance(network, onnx.ModelProto):
        return network
    try:
        data = read_model_file(network)
    except ModelError as error:
        raise ExportError(str(error)) from None
    foreign = model_kind(data)
    if foreign is not None:
        raise ExportError(f"{network}: is {foreign.name}, not an ONNX graph: {foreign.way}")
    try:
        graph = onnx.load_from_string(data)
        load_external_data_for_model(graph, str(Path(network).parent))
    except (OSError, ValueError, DecodeError, ValidationError) as error:
        raise ExportError(f"{network}: cannot be read as an ONNX graph: {error}") from None
    return graph


def _session(graph: onnx.ModelProto) -> ort.InferenceSession:
    try:
        return open_session(graph)
    except Exception as error:  # ORT's own exception classes derive from Exception only
        raise ExportError(f"ONNX Runtime cannot load the offline graph: {str(error)[:300]}") from error


def _select(graph: onnx.ModelProto, output_index: int) -> onnx.ModelProto:
    """The graph with one output."""
    count = len(graph.graph.output)
    if not -count <= output_index < count:
        raise UsageError(f"output_index {output_index}: the graph has {count} output(s)")
    if count == 1:
        return graph
    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    kept = graph.graph.output[output_index]
    del changed.graph.output[:]
    changed.graph.output.append(kept)
    return changed


def _check_classes(made: Streaming, card: ModelCard) -> None:
    if made.n_classes != len(card.labels):
        raise NotStreamable(
            f"the network gives {made.n_classes} scores a frame, the card has {len(card.labels)} labels; "
            "make them agree"
        )
