"""Files as Keras saves them, written without Keras: for what it would not save, and for what it would not read."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

NETWORKS = Path(__file__).resolve().parents[1] / "export" / "keras_networks.tar.xz"


def unpack(folder: Path) -> list[str]:
    """The stored networks of make_keras_files.py; returns the names of the files."""
    with tarfile.open(NETWORKS) as stored:
        stored.extractall(folder, filter="data")
        return sorted(name for name in stored.getnames() if not name.endswith(".npz"))


def entry(kind: str, name: str = "", **config: Any) -> dict[str, Any]:
    """A layer's entry in the configuration."""
    name = name or kind.lower()
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": None,
    }


def sequential(*layers: dict[str, Any], shape: Sequence[int | None] = (None, None, 12)) -> dict[str, Any]:
    """A network's configuration."""
    first = entry("InputLayer", "input", batch_shape=list(shape))
    config = {"name": "net", "layers": [first, *layers]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def hdf5(fill: Callable[[h5py.File], None]) -> bytes:
    """An HDF5 file."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def arrays(**places: list[np.ndarray]) -> bytes:
    """The weights of layers by place: ``dense=[kernel, bias]``; ``gru__cell`` stands for gru/cell."""

    def fill(file: h5py.File) -> None:
        for place, values in places.items():
            for i, value in enumerate(values):
                file[f"layers/{place.replace('__', '/')}/vars/{i}"] = value

    return hdf5(fill)


def keras(path: Path, config: Any, weights: bytes, **settings: Any) -> Path:
    """Write a ``.keras`` archive."""
    with zipfile.ZipFile(path, "w", **settings) as made:
        made.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        made.writestr("config.json", config if isinstance(config, str | bytes) else json.dumps(config))
        made.writestr("model.weights.h5", weights)
    return path
