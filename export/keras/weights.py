"""Which arrays of a saved network belong to which layer: by place in ``.keras``, by name in ``.h5``."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Protocol

from numpy.typing import NDArray

from export.keras.hdf5 import Hdf5File
from stream.errors import ExportError

Array = NDArray[Any]
_INSIDE = ("cell", "layer")  # attributes of a layer whose variables are its own: RNN's and TimeDistributed's
_LISTS = (
    "layers",
    "_layer_checkpoint_dependencies",
)  # how Keras 3, and 2.12 to 2.13, name a network's layers


class Weights(Protocol):
    """The weights of one network."""

    def scope(self, names: list[str], kinds: list[str]) -> list[LayerWeights]:
        """For each layer of a network, in the order of its configuration.

        Args:
            names: of the layers.
            kinds: their classes; "" for what has no place of its own.
        """
        ...


class LayerWeights(Protocol):
    """The weights of one layer, or of a network used as a layer."""

    def arrays(self) -> list[Array]:
        """In the order in which Keras made them."""
        ...

    def network(self) -> Weights:
        """Where the layers of a nested network keep theirs."""
        ...


class ArchiveWeights:
    """Weights in a ``.keras`` archive, at ``path`` of its HDF5 file.

    A layer is stored as its class in snake case, numbered from the second of its class on; newer versions note its
    name too.
    """

    def __init__(self, file: Hdf5File, path: str) -> None:
        self._file, self._path = file, path

    def scope(self, names: list[str], kinds: list[str]) -> list[LayerWeights]:
        container = next(
            (_join(self._path, n) for n in _LISTS if self._file.groups(_join(self._path, n))), ""
        )
        places = self._file.groups(container) if container else []
        said = {self._file.text(_join(container, place, "vars"), "name"): place for place in places
                if "vars" in self._file.groups(_join(container, place))}  # fmt: skip
        seen: Counter[str] = Counter()
        found: list[LayerWeights] = []
        for name, kind in zip(names, kinds, strict=True):
            place = snake_case(kind)
            if seen[place]:
                place = f"{place}_{seen[place]}"
            seen[snake_case(kind)] += bool(kind)
            place = said.get(name, place)
            found.append(ArchiveLayer(self._file, _join(container, place) if container else place))
        return found


class ArchiveLayer:
    """See `LayerWeights`."""

    def __init__(self, file: Hdf5File, path: str) -> None:
        self._file, self._path = file, path

    def arrays(self) -> list[Array]:
        return self._arrays(self._path)

    def _arrays(self, path: str) -> list[Array]:
        own = _join(path, "vars")
        names = sorted(self._file.datasets(own))  # "0", "1" …: no layer that is converted has ten
        found = [self._file.array(_join(own, name)) for name in names]
        for inner in _INSIDE:
            if inner in self._file.groups(path):
                found += self._arrays(_join(path, inner))
        return found

    def network(self) -> Weights:
        return ArchiveWeights(self._file, self._path)


class LegacyWeights:
    """Weights in a ``.h5`` file: a group for each layer, with the names of its arrays in order."""

    def __init__(self, file: Hdf5File, path: str) -> None:
        self._file, self._path = file, path

    def scope(self, names: list[str], kinds: list[str]) -> list[LayerWeights]:
        return [LegacyLayer(self._file, self._path, name) for name in names]


class LegacyLayer:
    """See `LayerWeights`."""

    def __init__(self, file: Hdf5File, path: str, name: str) -> None:
        self._file, self._path, self._name = file, _join(path, name), name

    def arrays(self) -> list[Array]:
        if not self._file.groups(self._path) and not self._file.datasets(self._path):
            return []
        return [
            self._file.array(_join(self._path, name)) for name in self._file.texts(self._path, "weight_names")
        ]

    def network(self) -> Weights:
        raise ExportError(
            f"layer '{self._name}': a network within a network cannot be read from a .h5 file; load it in Keras and "
            "save it with model.save('a.keras')"
        )


def snake_case(name: str) -> str:
    """A class's name as a place: SimpleRNN -> simple_rnn, ReLU -> re_lu, Conv1D -> conv1d."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=\w)(?=[A-Z][a-z])", "_", re.sub(r"\W", "", name)).lower()


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
