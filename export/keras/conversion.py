"""from_keras(): a network saved by Keras -> one streaming ONNX file, checked to be equal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import onnx

from export.conversion.input_layout import InputLayout
from export.conversion.onnx_export import to_onnx
from export.keras.archive import Saved, read_saved
from export.keras.graph_builder import Builder, Tensor, Time
from export.keras.layer_config import Network, input_shape, read_network
from export.keras.layer_walk import write_network
from export.streaming.convert import Lookahead
from stream.errors import ExportError, NotStreamable, UsageError
from stream.inference.card import ModelCard
from stream.printable import printable


@dataclass(frozen=True)
class Offline:
    """A network of Keras as an offline ONNX graph.

    Attributes:
        model: (N, T, …) float32, as the network takes it -> its outputs.
        shape: of its input; None where it is free.
        version: of the Keras that saved it.
        notes: what a user may want to know of single layers.
    """

    model: onnx.ModelProto
    shape: tuple[int | None, ...]
    version: str
    notes: tuple[str, ...]


def from_keras(
    network: Any,
    path: str | Path,
    card: ModelCard,
    *,
    lookahead: Lookahead = "refuse",
    time_axis: int = 1,
    output_index: int = 0,
    activation_inside: bool = False,
    opset: int = 17,
    streams: int = 1,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> ModelCard:
    """Export a network that Keras saved as a stateful streaming graph. Neither Keras nor TensorFlow is needed.

    Args:
        network: path of a ``.keras`` or ``.h5`` file, a Keras model, which is saved and read again, or what
            `offline_graph` made of one. Nothing in it is run: layers of your own and ``Lambda`` are refused by name.
        path: the file to write. It appears only if every comparison has passed.
        card: labels, activation and feature settings, as for ``to_onnx``.
        lookahead: "refuse" layers that need future frames, or "delay" the scores until these have arrived.
        time_axis: which axis of the network's input is time; a length that it was built for is freed.
        output_index: which output, if the network has several.
        activation_inside: the network returns probabilities already. Otherwise ``card.activation`` is appended,
            unless the network ends in it.
        opset: ONNX operator set of the file, 17 to 21.
        streams: that one session will mostly run at once, as for ``to_onnx``.
        seed: of the synthetic features the comparison uses.

    Returns:
        The completed card, as it stands in the file.

    Raises:
        NotStreamable: a layer looks ahead, has no rule, or cannot be carried as state; named, with what to use instead.
        ParityError: the result differs from the network by more than 1e-5; nothing is written.
        ExportError: the file is damaged or no network of Keras, or does not fit the card.
    """
    offline = network if isinstance(network, Offline) else offline_graph(network, time_axis)
    width = card.features.width
    axes = tuple(1 if i in (0, time_axis % len(offline.shape)) else n for i, n in enumerate(offline.shape))
    _check_width(axes, width, offline.shape, time_axis)
    layout = InputLayout.of(tuple(n or 1 for n in axes), 0, time_axis)
    graph = layout.prepend(offline.model, width)
    about = {"version": printable(offline.version)[:40], "notes": list(offline.notes)}
    return to_onnx(
        graph,
        path,
        msgspec.structs.replace(card, provenance={**card.provenance, "keras": about}),
        lookahead=lookahead,
        output_index=output_index,
        activation_inside=activation_inside,
        opset=opset,
        streams=streams,
        seed=seed,
        progress=progress,
    )


def offline_graph(network: Any, time_axis: int = 1) -> Offline:
    """Read a network of Keras and write its layers as an offline ONNX graph, with free batch and length.

    Raises:
        NotStreamable, ExportError: as `from_keras`.
    """
    saved = _saved(network)
    major = int(saved.version.split(".")[0]) if saved.version.split(".")[0].isdecimal() else 3
    parsed = read_network(saved.config, major)
    shape = _input_shape(saved.name, parsed)
    source = Tensor("keras_input", _axes(saved.name, shape, time_axis))
    builder = Builder()
    outputs = write_network(builder, parsed, [source], saved.weights)
    return Offline(builder.model(source, outputs), shape, saved.version, tuple(builder.notes))


def ends_in(offline: Offline, output_index: int = 0) -> str | None:
    """The activation of a network's last layer: "softmax" or "sigmoid"; None for others."""
    graph = offline.model.graph
    makers = {name: node for node in graph.node for name in node.output}
    if not -len(graph.output) <= output_index < len(graph.output):
        return None
    node = makers.get(graph.output[output_index].name)
    while node is not None and node.op_type in ("Identity", "Reshape", "Squeeze"):
        node = makers.get(node.input[0])
    return {"Softmax": "softmax", "Sigmoid": "sigmoid"}.get(node.op_type) if node is not None else None


def _saved(network: Any) -> Saved:
    if isinstance(network, str | Path):
        return read_saved(network)
    if isinstance(network, dict) or not hasattr(network, "save"):
        raise UsageError(
            f"network: {type(network).__name__} has no weights to export; give a Keras model, or the path of a file "
            "that model.save('a.keras') wrote"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.keras"
        network.save(file)
        return read_saved(file)


def _input_shape(name: str, network: Network) -> tuple[int | None, ...]:
    """Shape of the one input, with the batch."""
    if network.sequential:
        first = network.layers[0] if network.layers else None
        shape = (input_shape(first) if first is not None else None) or network.input_shape
        if shape is None and first is not None and first.kind in ("Sequential", "Functional", "Model"):
            shape = _input_shape(name, read_network(first.config, first.version, f"{first.name}/"))
    else:
        names = [reference[0] for reference in network.inputs]
        if len(names) != 1:
            raise NotStreamable(
                f"{name}: the network has inputs {', '.join(names) or 'none'}; it must take the features alone"
            )
        found = [layer for layer in network.layers if layer.name == names[0]]
        shape = input_shape(found[0]) if found else None
    if shape is None:
        raise ExportError(
            f"{name}: the network was never built, so it has no input shape; call it once and save it again"
        )
    return shape


def _axes(name: str, shape: tuple[int | None, ...], time_axis: int) -> tuple[int | Time | None, ...]:
    """What each axis of the input means; refused where none of them can be time."""
    rank = len(shape)
    if rank < 3:
        raise NotStreamable(
            f"{name}: its input {_words(shape)} is one vector for each recording, without time; train on frames, "
            "keras.Input((None, 40)) for 40 MFCCs, not on their mean"
        )
    if not -rank < time_axis < rank or time_axis % rank == 0:
        raise UsageError(
            f"time_axis {time_axis}: the network's input {_words(shape)} has axes 1 to {rank - 1}"
        )
    time = time_axis % rank
    others = [n for i, n in enumerate(shape) if i not in (0, time)]
    if any(n is None or n < 1 for n in others):
        raise NotStreamable(
            f"{name}: its input {_words(shape)} has more than one free axis; only time (axis {time}) may be free"
        )
    if shape[time] == 1:
        raise NotStreamable(
            f"{name}: its input {_words(shape)} is a sequence of one frame, so its recurrences never carried anything; "
            "train on sequences of frames, keras.Input((None, 40)) for 40 MFCCs"
        )
    return tuple(None if i == 0 else Time(n) if i == time else n for i, n in enumerate(shape))


def _check_width(
    axes: tuple[int | None, ...], width: int, shape: tuple[int | None, ...], time_axis: int
) -> None:
    """Refuse a network whose frames are not those of the card, and coefficients read as if they were time."""
    given = prod(n or 1 for n in axes)
    time = shape[time_axis % len(shape)]
    if given == width:
        return
    if given == 1 and time is not None:
        raise NotStreamable(
            f"the network's input {_words(shape)} is a sequence of {time} numbers one by one: the coefficients of one "
            "(mean) vector, not time; its recurrence runs over coefficients and cannot follow a stream. Train on "
            f"frames, keras.Input((None, {width})), in place of the mean over them"
        )
    way = f"give a card whose features have {given} values a frame"
    if time == width:
        way = "if axis 1 is its features and axis 2 its time, say so with time_axis=2 (--time-axis 2)"
    raise ExportError(
        f"the network's input {_words(shape)} has {given} features a frame, the card {width}; {way}"
    )


def _words(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("None" if n is None else str(n) for n in shape) + ")"
