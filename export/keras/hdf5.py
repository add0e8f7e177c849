"""Arrays and texts out of an HDF5 file that nobody vouches for: every size is looked at before it is read.

Only plain numeric datasets inside the file are read: no links to elsewhere, no external or virtual storage, no
filters but the usual ones, nothing that could be a program.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from stream.errors import ExportError
from stream.printable import printable

Array = NDArray[Any]
MAX_WEIGHT_BYTES = 1 << 30  # of all arrays together; the largest networks for streams have some 10 MB
MAX_DEPTH = 32
MAX_NAMES = 100_000
_SLACK = 1 << 20  # an array larger than this must be stored in at least a fiftieth of its size
_FACTOR = 50
_FILTERS = {1, 2, 3, 32000}  # deflate, shuffle, checksum, LZF


@contextmanager
def damage_of(name: str) -> Iterator[None]:
    """HDF5's own errors as one line."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeError) as error:
        reason = printable(str(error))[:200]
        raise ExportError(f"{name}: is damaged, or no HDF5 file of Keras ({reason}); save it again") from None


class Hdf5File:
    """An HDF5 file in memory.

    Args:
        data: its bytes.
        name: for messages.

    Raises:
        ExportError: it is damaged, or holds what no file of Keras holds.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self._left = MAX_WEIGHT_BYTES
        with damage_of(name):
            self._file = h5py.File(io.BytesIO(data), "r")
        self._groups: dict[str, tuple[list[str], list[str]]] = {}
        with damage_of(name):
            self._walk(self._file, "", 0)

    def _walk(self, group: h5py.Group, path: str, depth: int) -> None:
        """Note all groups and datasets; refuse links that lead elsewhere and nesting without end."""
        if depth > MAX_DEPTH or len(self._groups) > MAX_NAMES or len(group) > MAX_NAMES:
            raise ExportError(f"{self.name}: has more groups than a file of Keras; save it again")
        groups: list[str] = []
        datasets: list[str] = []
        self._groups[path] = (groups, datasets)
        for key in group:
            place = f"{path}/{key}" if path else key
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ExportError(f"{self.name}: '{printable(place)}' links to elsewhere; save it again")
            kind = group.get(key, getclass=True)
            if kind is h5py.Group:
                groups.append(key)
                self._walk(group[key], place, depth + 1)
            elif kind is h5py.Dataset:
                datasets.append(key)

    def groups(self, path: str) -> list[str]:
        """Names of the groups in a group; none if it is not there."""
        return self._groups.get(path, ([], []))[0]

    def datasets(self, path: str) -> list[str]:
        """Names of the arrays in a group; none if it is not there."""
        return self._groups.get(path, ([], []))[1]

    def text(self, path: str, attribute: str) -> str | None:
        """A text stored with a group; None if it is not there, or is no text."""
        with damage_of(self.name):
            attributes = (self._file[path] if path else self._file).attrs
            value = attributes.get(attribute)
            if isinstance(value, bytes):
                value = value.decode("utf-8")
        return value if isinstance(value, str) else None

    def texts(self, path: str, attribute: str) -> list[str]:
        """A list of texts stored with a group, also where Keras had to divide it; empty if it is not there."""
        with damage_of(self.name):
            attributes = self._file[path].attrs
            parts = [attribute]
            if attribute not in attributes:
                count = next(i for i in range(MAX_NAMES) if f"{attribute}{i}" not in attributes)
                parts = [f"{attribute}{i}" for i in range(count)]
            found = [item for part in parts for item in np.asarray(attributes[part]).reshape(-1).tolist()]
            return [item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in found]

    def array(self, path: str) -> Array:
        """A dataset as float32 (or its own integers).

        Raises:
            ExportError: it is not plain numbers stored in this file, or too large.
        """
        with damage_of(self.name):
            dataset = self._file[path]
            where = f"{self.name}: array '{printable(path)}'"
            if not isinstance(dataset, h5py.Dataset):
                raise ExportError(f"{where}: is not there; save the network again")
            if dataset.shape is None or dataset.dtype.kind not in "fiub":
                raise ExportError(f"{where}: is of type {dataset.dtype}, not plain numbers; save it again")
            layout = dataset.id.get_create_plist()
            filters = {layout.get_filter(i)[0] for i in range(layout.get_nfilters())}
            if dataset.external or dataset.is_virtual or not filters <= _FILTERS:
                raise ExportError(f"{where}: is not stored in the file as Keras does it; save it again")
            size = prod(dataset.shape) * dataset.dtype.itemsize
            self._left -= size
            stored = dataset.id.get_storage_size()
            if self._left < 0 or (size > _SLACK and size > _FACTOR * stored):
                shape = "x".join(map(str, dataset.shape))
                raise ExportError(f"{where}: {shape} values are more than a network for streams can have")
            value = np.asarray(dataset[()])
        return value.astype(np.float32) if value.dtype.kind == "f" else value
