"""Snapshots: the state of a stage as plain values, so that a stream can be saved, moved and continued.

Every stage has ``snapshot()``, which returns a ``dict`` of numbers, strings, lists, nested snapshots and NumPy arrays,
and ``restore(snapshot)``, which continues from it to the bit. The dict is a copy: more sound does not change it.
``pack`` and ``unpack`` turn one into bytes (MessagePack) and back.

    saved = pack(classifier.snapshot())        # some kilobytes
    other = StreamClassifier(model)            # perhaps in another process
    other.restore(unpack(saved))
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.errors import SnapshotInvalid

Snapshot = dict[str, Any]

_ARRAY_CODE = 1  # MessagePack extension type of an array
_DTYPES = frozenset({"<f4", "<f8", "<i4", "<i8", "|b1"})


def begin(kind: str, version: int = 1, **values: Any) -> Snapshot:
    """A snapshot of a stage of this kind.

    Args:
        kind: name of the stage; ``restore`` of another stage refuses it.
        version: of the layout of ``values``.
        values: the state, copied by the caller where it would change later.
    """
    return {"kind": kind, "version": version, **values}


def check(snapshot: Snapshot, kind: str, version: int = 1) -> Snapshot:
    """The snapshot itself, once it is known to be of this kind and version.

    Raises:
        SnapshotInvalid: it is not.
    """
    found = snapshot.get("kind"), snapshot.get("version")
    if found != (kind, version):
        raise SnapshotInvalid(
            f"snapshot of {found[0]!r} version {found[1]!r}: want {kind!r} version {version}; "
            "restore it into the stage that made it, of the same release"
        )
    return snapshot


def same(snapshot: Snapshot, name: str, value: object) -> None:
    """SnapshotInvalid unless the snapshot was made with this value of a setting."""
    if snapshot.get(name) != value:
        raise SnapshotInvalid(
            f"snapshot of {snapshot.get('kind')!r}: {name} is {snapshot.get(name)!r}, here it is {value!r}; "
            "restore it into a stage with the same model and settings"
        )


def number(snapshot: Snapshot, name: str) -> int:
    """The whole number ``name``; SnapshotInvalid if it is none."""
    value = snapshot.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise SnapshotInvalid(
            f"snapshot of {snapshot.get('kind')!r}: {name} is {value!r}, want a whole number"
        )
    return value


def optional(snapshot: Snapshot, name: str) -> int | None:
    """The whole number ``name``, or None."""
    return None if snapshot.get(name) is None else number(snapshot, name)


def inner(snapshot: Snapshot, name: str) -> Snapshot:
    """The nested snapshot ``name``; SnapshotInvalid if it is none."""
    value = snapshot.get(name)
    if not isinstance(value, dict):
        raise SnapshotInvalid(f"snapshot of {snapshot.get('kind')!r}: {name} is missing; save it again")
    return value


def array(snapshot: Snapshot, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A copy of the array ``name``, checked.

    Args:
        snapshot: as ``check`` returned it.
        name: its key.
        dtype: as NumPy names it, for example "float32".
        shape: -1 stands for any length.

    Raises:
        SnapshotInvalid: no such array, or one of another type or shape.
    """
    value = snapshot.get(name)
    fits = (
        isinstance(value, np.ndarray)
        and value.dtype == np.dtype(dtype)
        and value.ndim == len(shape)
        and all(want in (-1, have) for have, want in zip(value.shape, shape, strict=True))
    )
    if not fits or value is None:
        have = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise SnapshotInvalid(
            f"snapshot of {snapshot.get('kind')!r}: {name} is {have}, want {dtype} {shape}; "
            "restore it into a stage with the same model and settings"
        )
    return np.array(value)


def pack(snapshot: Snapshot) -> bytes:
    """A snapshot as MessagePack bytes. Arrays keep their type, shape and bits."""
    return msgspec.msgpack.encode(snapshot, enc_hook=_encode)


def unpack(data: bytes) -> Snapshot:
    """What ``pack`` was given.

    Raises:
        SnapshotInvalid: these are not the bytes of a snapshot.
    """
    try:
        value = msgspec.msgpack.decode(data, ext_hook=_decode)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise SnapshotInvalid(
            f"snapshot of {len(data)} bytes cannot be read: {error}; save it again"
        ) from None
    if not isinstance(value, dict):
        raise SnapshotInvalid(f"snapshot of {len(data)} bytes is no dict; save it again")
    return value


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
        about = (little.dtype.str, list(value.shape), little.tobytes())
        return msgspec.msgpack.Ext(_ARRAY_CODE, msgspec.msgpack.encode(about))
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} does not belong in a snapshot")


def _decode(code: int, data: memoryview) -> Any:
    if code != _ARRAY_CODE:
        raise ValueError(f"unknown extension {code}")
    dtype, shape, raw = msgspec.msgpack.decode(bytes(data), type=tuple[str, list[int], bytes])
    if dtype not in _DTYPES or any(size < 0 for size in shape):
        raise ValueError(f"array of type {dtype!r} and shape {shape}")
    kind = np.dtype(dtype)
    if len(raw) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"array of shape {shape} in {len(raw)} bytes")
    native = np.frombuffer(raw, kind).reshape(shape)
    return native.astype(kind.newbyteorder("="))
