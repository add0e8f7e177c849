"""Checkpoints: a trained network and its card in one .pt file that is safe to open.

Files are written under a temporary name, synced and renamed, so a kill leaves the old one or the new one.
They hold tensors, numbers and text only and are read with ``weights_only``: a foreign pickle never runs.
"""

from __future__ import annotations

import io
import pickle
import stat
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from export.atomic import write_bytes
from export.models import FrameClassifier, ModelConfig, build
from stream.errors import CardInvalid, CheckpointError, SpecError
from stream.foreign import model_kind
from stream.inference.card import ModelCard

FORMAT = "stream-classify model"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained network, in eval mode, with the card its export will carry (states still empty)."""

    model: FrameClassifier
    card: ModelCard


def save_model(path: str | Path, model: FrameClassifier, card: ModelCard) -> None:
    """Write ``model`` and ``card`` to ``path``, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "config": msgspec.json.encode(model.config).decode(),
        "card": card.to_json(),
        "weights": {name: value.detach().cpu() for name, value in model.state_dict().items()},
    }
    write_atomically(path, content)


def load_model(path: str | Path) -> Checkpoint:
    """Read what ``save_model`` wrote.

    Raises:
        CheckpointError: not a checkpoint of this program, damaged, unsafe, or from a newer version.
    """
    content = read_safely(path, FORMAT, SCHEMA)
    try:
        config = msgspec.json.decode(content["config"], type=ModelConfig)
        card = ModelCard.from_json(content["card"])
        model = build(config)
        model.load_state_dict(content["weights"])
    except (KeyError, TypeError, AttributeError, msgspec.MsgspecError, SpecError, CardInvalid) as error:
        raise CheckpointError(f"{path}: the checkpoint is incomplete ({error}); train it again") from None
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"{path}: the weights do not fit the network ({first}); train it again"
        ) from None
    return Checkpoint(model.eval(), card)


def write_atomically(path: str | Path, content: dict[str, Any]) -> None:
    """torch.save to ``path``, the old file or the new one surviving a kill; OutputError if it cannot be written."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def _bytes_of(path: Path, hint: str) -> bytes:
    """The bytes of a checkpoint; CheckpointError if they cannot be had, without waiting for a pipe."""
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise CheckpointError(f"{path}: is a folder; {hint}")
        if not stat.S_ISREG(about.st_mode):
            raise CheckpointError(f"{path}: is not a regular file; save it as one, or {hint}")
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; {hint}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: cannot be read ({reason}); {hint}") from None


def _check_stored(path: str | Path, data: bytes) -> None:
    """CheckpointError for an archive that would grow when it is unpacked; torch.save compresses nothing."""
    if data[:2] != b"PK":
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries) or sum(e.file_size for e in entries) > len(
        data
    ):
        raise CheckpointError(
            f"{path}: is a compressed archive, which could grow without measure; save it again with torch.save"
        )


def read_safely(path: str | Path, kind: str, schema: int) -> dict[str, Any]:
    """The dictionary in ``path``, its format and schema checked; CheckpointError otherwise."""
    hint = "give a file that stream-classify train wrote"
    data = _bytes_of(Path(path), hint)
    foreign = model_kind(data)
    if foreign is not None:
        raise CheckpointError(f"{path}: is {foreign.name}, not a checkpoint: {foreign.way}")
    _check_stored(path, data)
    try:
        with warnings.catch_warnings():  # torch warns of odd pickles, which are refused below in our words
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: holds Python objects that may run code, so it was not opened; {hint}, "
            "or export the module itself with export.to_onnx"
        ) from None
    except Exception as error:  # a damaged file can make the unpickler call anything it allows with anything
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({first}); {hint}") from None
    if not isinstance(content, dict) or content.get("format") != kind:
        raise CheckpointError(f"{path}: is not a {kind!r} file; {hint}, or use export.to_onnx in Python")
    found = content.get("schema")
    if not isinstance(found, int) or not 1 <= found <= schema:
        raise CheckpointError(
            f"{path}: schema {found}, this version reads 1 to {schema}; upgrade stream-classify"
        )
    return content
