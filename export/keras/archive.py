"""A network saved by Keras: its configuration and its weights, read without Keras and without running anything.

``.keras`` is a ZIP archive of ``config.json``, ``metadata.json`` and ``model.weights.h5``
(keras.io/api/models/model_saving_apis, "whole model saving"); ``.h5`` is one HDF5 file with the configuration as an
attribute, as Keras 1 to 2 wrote it.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.keras.hdf5 import Hdf5File
from export.keras.weights import ArchiveWeights, LegacyWeights, Weights
from stream.errors import ExportError, ModelError
from stream.foreign import model_kind
from stream.inference.onnx_file import read_model_file
from stream.printable import printable

_HDF5 = b"\x89HDF\r\n\x1a\n"
MAX_CONFIG_BYTES = 16 << 20
MAX_WEIGHTS_BYTES = 1 << 30
MAX_MEMBERS = 10_000
MAX_NESTING = 100  # of brackets in the configuration: networks in networks, 33 deep
_FACTOR = 100  # of compression: weights shrink by a tenth or so
_SLACK = 1 << 20


@dataclass(frozen=True)
class Saved:
    """A network as saved.

    Attributes:
        name: of the file.
        config: the network's own entry: ``{"class_name": "Sequential", "config": {...}}``.
        weights: of its layers.
        version: of the Keras that saved it, "" if it does not say.
    """

    name: str
    config: dict[str, Any]
    weights: Weights
    version: str


def read_saved(path: str | Path) -> Saved:
    """Open a ``.keras`` or ``.h5`` file.

    Raises:
        ExportError: it is neither, is damaged, too large, or holds weights without a network.
    """
    try:
        data = read_model_file(path)
    except ModelError as error:
        raise ExportError(
            str(error).replace("train one with: stream-classify train --help", "check the path")
        ) from None
    name = printable(str(path))
    if data[:8] == _HDF5:
        return _legacy(data, name)
    if data[:2] == b"PK":
        return _archive(data, name)
    foreign = model_kind(data)
    what = (
        f"is {foreign.name}: {foreign.way}"
        if foreign
        else "is no file of Keras; save it with model.save('a.keras')"
    )
    raise ExportError(f"{name}: {what}")


def _archive(data: bytes, name: str) -> Saved:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if len(members) > MAX_MEMBERS or len(set(names)) < len(names):
                raise ExportError(
                    f"{name}: has more members than an archive of Keras, or one twice; save it again"
                )
            if "config.json" not in names or "model.weights.h5" not in names:
                raise ExportError(
                    f"{name}: is a ZIP archive without config.json and model.weights.h5, so no network of Keras; "
                    "save it with model.save('a.keras')"
                )
            config = _member(archive, "config.json", MAX_CONFIG_BYTES, name)
            about = (
                _member(archive, "metadata.json", MAX_CONFIG_BYTES, name)
                if "metadata.json" in names
                else b"{}"
            )
            weights = _member(archive, "model.weights.h5", MAX_WEIGHTS_BYTES, name)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        NotImplementedError,
        OSError,
        RuntimeError,
    ) as error:
        raise ExportError(
            f"{name}: is a damaged archive ({printable(str(error))[:200]}); copy it again"
        ) from None
    version = _json(about, f"{name}: metadata.json").get("keras_version", "")
    return Saved(
        name,
        _json(config, f"{name}: config.json"),
        ArchiveWeights(Hdf5File(weights, f"{name}: model.weights.h5"), ""),
        version if isinstance(version, str) else "",
    )


def _member(archive: zipfile.ZipFile, member: str, limit: int, name: str) -> bytes:
    about = archive.getinfo(member)
    if about.file_size > limit or about.file_size > _SLACK + _FACTOR * about.compress_size:
        raise ExportError(
            f"{name}: {member} would grow to {about.file_size} bytes, more than a network of Keras has; save it again"
        )
    with archive.open(about) as file:
        content = file.read(about.file_size + 1)
    if len(content) > about.file_size:
        raise ExportError(f"{name}: {member} is larger than the archive says; copy it again")
    return content


def _legacy(data: bytes, name: str) -> Saved:
    file = Hdf5File(data, name)
    config = file.text("", "model_config")
    if config is None:
        raise ExportError(
            f"{name}: holds weights but no network; save the whole of it with model.save('a.keras') and give that"
        )
    if len(config) > MAX_CONFIG_BYTES:
        raise ExportError(
            f"{name}: its configuration has {len(config)} characters, more than a network of Keras has"
        )
    return Saved(
        name,
        _json(config.encode("utf-8"), f"{name}: model_config"),
        LegacyWeights(file, "model_weights"),
        file.text("", "keras_version") or file.text("model_weights", "keras_version") or "",
    )


def _json(text: bytes, name: str) -> dict[str, Any]:
    """JSON text as a dictionary, without the nesting that would exhaust the stack."""
    deepest = depth = 0
    for byte in text:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    if deepest > MAX_NESTING:
        raise ExportError(f"{name} is nested {deepest} deep, more than a network of Keras; save it again")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExportError(f"{name} is not JSON ({printable(str(error))[:100]}); save it again") from None
    if not isinstance(value, dict):
        raise ExportError(f"{name} describes no network; save it again with model.save('a.keras')")
    return value
