"""Layers of other people's networks, read from ONNX files: what an embedding is made of."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from stream.errors import DataError

Parse = Callable[[onnx.ModelProto], list[nn.Module]]


def layers_from(file: Path, what: str, parse: Parse, help: str) -> list[nn.Module]:
    """The layers that ``parse`` finds in a file, an ONNX graph or a zip of one.

    Raises:
        DataError: no such file, or not ``what``; see ``help``.
    """
    try:
        return parse(_opened(file))
    except Exception as error:  # onnx and zipfile raise their own kinds for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{file}: cannot be used as {what}: {reason}; see {help}") from None


def weights(model: onnx.ModelProto) -> dict[str, Tensor]:
    """The constants of a graph by name."""
    return {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
    }


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node by name."""
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def _opened(file: Path) -> onnx.ModelProto:
    if not zipfile.is_zipfile(file):
        return onnx.load(file)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
        return onnx.load(next(Path(folder).rglob("*.onnx")))
