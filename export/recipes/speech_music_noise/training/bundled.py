"""The weights of a published model file, as those of the network that it was exported from.

Export writes some weights as they are and others turned, cut up, repeated or multiplied. Where each has gone is found
by exporting a network of the same shape with weights that all differ: what stands there says where it came from.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from export.conversion.onnx_export import to_onnx
from export.models import FrameClassifier, ModelConfig, build
from export.models.layers import Bands
from stream.errors import ExportError, ParityError
from stream.inference.card import ModelCard
from stream.inference.session import Model

VANISHING = 2.0**-100  # a mean that is there, and changes no sum
CLOSE = 1e-4  # probabilities of the network and of its file


def network_of(path: Path, example: NDArray[np.float32]) -> FrameClassifier:
    """The network of a model file of this recipe.

    Args:
        example: (N, T, F) float32, real features, on which it is compared with the file.

    Raises:
        ExportError: its card names no network, or not all weights can be found in it.
        ModelError: it cannot be read.
    """
    model = Model.load(path, provider="cpu")
    if "network" not in model.card.provenance:
        raise ExportError(f"{path}: its card does not say which network it is; use a file of this recipe")
    config = msgspec.convert(model.card.provenance["network"], ModelConfig)
    network = build(config)
    held = _initializers(onnx.load(str(path)))
    flat = _found(path, config, model.card, example, held, folded=False)
    if flat is None:
        flat = _found(path, config, model.card, example, held, folded=True)
    if flat is None:
        raise ExportError(f"{path}: not all weights stand in it; export its network again first")
    _fill(network, flat)
    network.eval()
    with torch.no_grad():
        probs = torch.sigmoid(network(torch.from_numpy(example))[0]).numpy()
    own, _ = model.step(example, _copies(model, len(example)))
    apart = float(np.abs(own - probs).max())
    if apart > CLOSE:
        raise ParityError(f"{path}: the network found in it differs from it by {apart:.1e}")
    return network


def normalised_by(network: FrameClassifier, mean: NDArray[np.float32], std: NDArray[np.float32]) -> None:
    """Take the normalisation by (F,) statistics out of the first product again, if export has folded it in.

    What the network answers stays the same; trained further, all its inputs have deviation 1, as at first.
    """
    first = network.layers[0]
    if not isinstance(first, Bands) or not _is_plain(network):
        return
    network.normalise.fit(torch.from_numpy(mean), torch.from_numpy(std))
    with torch.no_grad():
        first.mix.bias.add_(first.mix.weight @ network.normalise.mean)
        first.mix.weight.div_(network.normalise.scale)


def _is_plain(network: FrameClassifier) -> bool:
    """Whether its normalisation changes nothing."""
    return not network.normalise.mean.any() and bool((network.normalise.scale == 1).all())


def _found(
    path: Path,
    config: ModelConfig,
    card: ModelCard,
    example: NDArray[np.float32],
    held: dict[str, NDArray[np.float32]],
    *,
    folded: bool,
) -> NDArray[np.float32] | None:
    """All weights and buffers in a row, in the order of the state dict; None if some are not in the file.

    ``folded``: the file has the normalisation in the product behind it; that of the network is then the identity.
    """
    network = build(config)
    flat = np.concatenate([value.numpy().reshape(-1) for value in network.state_dict().values()])
    # Normalisation comes first in the state dict: mean, then scale. In a new network it is the identity.
    found = np.arange(len(flat)) < (2 * config.features if folded else 0)
    places = _places(config, card, example, folded)
    if list(places) != list(held) or any(places[name].shape != held[name].shape for name in places):
        if folded:
            raise ExportError(
                f"{path}: written by another version of the export; export its network again first"
            )
        return None
    for name, origin in places.items():
        flat[origin[origin >= 0]] = held[name][origin >= 0]
        found[origin[origin >= 0]] = True
    return flat if found.all() else None


def _places(
    config: ModelConfig, card: ModelCard, example: NDArray[np.float32], folded: bool
) -> dict[str, NDArray[np.int64]]:
    """For each float tensor of an exported file, which weight every element is; -1 = none.

    The marks are odd multiples of a power of two, exact in float32, which no constant of a graph is. Of both signs and
    in no order, they make a network like one with random weights: exporting looks at what a network does.
    """
    marked = build(config)
    count = sum(value.numel() for value in marked.state_dict().values())
    rng = np.random.default_rng(0)
    order, step = rng.permutation(count), 2.0 ** -(count.bit_length() + 5)  # up to 0.06
    marks = (2 * order + 3) * step * rng.choice([-1.0, 1.0], count)
    if folded:
        marks[: config.features], marks[config.features : 2 * config.features] = VANISHING, 2.0
    _fill(marked, marks.astype(np.float32))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "marked.onnx"
        to_onnx(marked.eval(), path, msgspec.structs.replace(card, metrics={}), example)
        held = _initializers(onnx.load(str(path)))
    skipped = 2 * config.features if folded else 0
    weight_of = {}
    for index, mark in enumerate(marks.astype(np.float32)[skipped:], start=skipped):
        weight_of[float(mark)] = index
        if folded:  # in the product that the normalisation is folded into
            weight_of[2 * float(mark)] = index
    return {
        name: np.array([weight_of.get(float(value), -1) for value in values.reshape(-1)], np.int64).reshape(
            values.shape
        )
        for name, values in held.items()
    }


def _initializers(graph: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.graph.initializer}
    return {name: array for name, array in arrays.items() if array.dtype == np.float32}


def _fill(network: FrameClassifier, flat: NDArray[np.float32]) -> None:
    """Put one long vector into all weights and buffers, in the order of the state dict."""
    at, filled = 0, {}
    for name, value in network.state_dict().items():
        part = torch.from_numpy(flat[at : at + value.numel()].copy())
        filled[name] = part.reshape(value.shape).to(value.dtype)
        at += value.numel()
    network.load_state_dict(filled)


def _copies(model: Model, rows: int) -> tuple[NDArray[np.float32], ...]:
    """The first state, for so many rows."""
    return tuple(
        np.repeat(array, rows, axis=spec.batch_axis)
        for array, spec in zip(model.initial_state(), model.card.states, strict=True)
    )
