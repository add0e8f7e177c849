"""What a file is that is not what was asked for, by its bytes: for messages that tell the way out."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath
from typing import NamedTuple

_TEXT_BYTES = 512
_MOST_NAMES = 10_000  # of an archive that are looked at


class Foreign(NamedTuple):
    """A kind of file.

    Attributes:
        name: with its article.
        way: what to do instead.
    """

    name: str
    way: str


def text_kind(head: bytes) -> str:
    """What sort of text begins with ``head``, if it is text, with its article; "" for what is none."""
    start = head[:_TEXT_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<!--")):
        return "a web page"
    if start.startswith(b"#extm3u"):
        return "an M3U playlist"
    if start.startswith(b"[playlist]"):
        return "a PLS playlist"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer"
    return ""


def model_kind(data: bytes) -> Foreign | None:
    """What a file is that was given as a model or a checkpoint; None if it may well be one, or nobody knows.

    Args:
        data: the whole file, or at least its beginning; archives are only recognised as a whole.
    """
    if not data:
        return Foreign("empty", "copy or download it again")
    text = text_kind(data)
    if text == "a Git LFS pointer":
        return Foreign(text, "run 'git lfs pull' in its repository to fetch the file itself")
    if text == "a web page":
        return Foreign(text, "the server answered with a page instead of the file; download the file itself")
    if data[:2] == b"PK":
        return _archive(data)
    if data[:8] == b"\x89HDF\r\n\x1a\n":
        return Foreign("an HDF5 file, as Keras writes", _KERAS)
    if data[4:8] == b"TFL3":
        return Foreign("a TensorFlow Lite model", "export the network it was made from")
    if len(data) > 9 and data[8:9] == b"{" and 2 <= int.from_bytes(data[:8], "little") <= 100_000_000:
        return Foreign(
            "a safetensors file, which holds weights but no network",
            "name the network too: --module net.py:Net, or in Python to_onnx(Net(), ..., weights=...)",
        )
    if data[:2] == b"\x1f\x8b":
        return Foreign("a gzip archive", "unpack it first")
    if data[:6] == b"\x93NUMPY":
        return Foreign("a NumPy array", "give a checkpoint or an ONNX file")
    if data[:4] in (b"RIFF", b"fLaC", b"OggS"):
        return Foreign("a sound file", "give a checkpoint or an ONNX file")
    if data[:1] in b"{[" and data[:_TEXT_BYTES].isascii():
        return Foreign("JSON text", "give a checkpoint or an ONNX file")
    return None


_KERAS = "give it to stream-classify export, or to export.from_keras in Python"


def _archive(data: bytes) -> Foreign | None:
    """A ZIP archive by the names in it; None for a checkpoint of torch.save."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {PurePosixPath(name).name for name in archive.namelist()[:_MOST_NAMES]}
            folders = {part for name in archive.namelist()[:_MOST_NAMES] for part in name.split("/")[:-1]}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return Foreign("a damaged archive: its end is missing", "copy or download it again")
    if "constants.pkl" in names and "code" in folders:
        return Foreign(
            "a TorchScript archive, which holds a program",
            "load it with torch.jit.load in Python and give it to export.to_onnx",
        )
    if any(name.startswith("serialized_exported_program") for name in names) or "archive_format" in names:
        return Foreign(
            "a program of torch.export, which holds code",
            "load it with torch.export.load in Python and give its module() to export.to_onnx",
        )
    if "data.pkl" in names:
        return None
    if "config.json" in names and any(name.endswith("weights.h5") for name in names):
        return Foreign("a Keras model", _KERAS)
    if names and all(name.endswith(".npy") for name in names):
        return Foreign("a NumPy archive", "give a checkpoint or an ONNX file")
    return Foreign("a ZIP archive", "unpack it first")
