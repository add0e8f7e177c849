"""Weights without a network: safetensors files and state dicts of torch.save, read without running anything in them."""

from __future__ import annotations

import io
import json
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stream.errors import CheckpointError, ModelError
from stream.foreign import model_kind
from stream.inference.onnx_file import read_model_file

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "weights",
    "net",
)  # keys that training scripts put them under


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Put the weights of a file into a module, in place.

    Args:
        module: the network, as its class makes it.
        path: a ``.safetensors`` file, or a state dict that torch.save wrote.

    Raises:
        CheckpointError: it is neither, it is damaged, or its weights are those of another network.
    """
    weights = read_weights(path)
    wanted = module.state_dict()
    for prefix in ("module.", "_orig_mod."):  # of networks that were trained in parallel, or compiled
        if weights and all(name.startswith(prefix) for name in weights) and not set(weights) & set(wanted):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    for name, value in wanted.items():
        if name not in weights:
            raise CheckpointError(
                f"{path}: has no {name!r}, which the network has; they do not belong together"
            )
        if weights[name].shape != value.shape:
            shapes = f"{list(weights[name].shape)} in it, {list(value.shape)} in the network"
            raise CheckpointError(f"{path}: {name!r} is {shapes}; build the network as it was trained")
    more = next((name for name in weights if name not in wanted), None)
    if more is not None:
        raise CheckpointError(f"{path}: holds {more!r}, which the network lacks; they do not belong together")
    module.load_state_dict(weights)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Name -> tensor.

    Raises:
        CheckpointError: see ``load_weights``.
    """
    try:
        data = read_model_file(path)
    except ModelError as error:
        raise CheckpointError(str(error)) from None
    kind = model_kind(data)
    if kind is not None and "safetensors" in kind.name:
        return _from_safetensors(path, data)
    if kind is not None:
        raise CheckpointError(f"{path}: is {kind.name}, which holds no weights by name: {kind.way}")
    try:
        with warnings.catch_warnings():  # torch warns of odd pickles, which are refused below in our words
            warnings.simplefilter("ignore", UserWarning)
            content: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: holds Python objects that may run code, so it was not opened; save module.state_dict() alone"
        ) from None
    except Exception as error:  # a damaged file can make the unpickler call anything it allows with anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: cannot be read as weights ({reason}); save them again") from None
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: holds more than weights by name; save module.state_dict() alone")
    return {str(name): value for name, value in content.items()}


def _from_safetensors(path: str | Path, data: bytes) -> dict[str, Tensor]:
    """The format: 8 bytes with the length of a JSON header, the header, the tensors' bytes.

    Source: https://github.com/huggingface/safetensors, section Format.
    """
    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            start, end = entry["data_offsets"]
            kind, shape = _TYPES[entry["dtype"]], [int(length) for length in entry["shape"]]
            part = data[8 + size + start : 8 + size + end]
            if (
                not 0 <= start <= end
                or len(part) != math.prod(shape) * kind.itemsize
                or min(shape, default=1) < 0
            ):
                raise ValueError(f"{name!r} does not fit its place")
            empty = torch.empty(shape, dtype=kind)
            tensors[name] = torch.frombuffer(bytearray(part), dtype=kind).reshape(shape) if part else empty
        return tensors
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: is a damaged safetensors file ({error}); copy or download it again"
        ) from None
