"""A network's configuration as layers and calls, whichever Keras wrote it; what names code is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stream.errors import ExportError, NotStreamable
from stream.printable import printable

NETWORKS = ("Sequential", "Functional", "Model")
MAX_LAYERS = 10_000
_CODE = ("Lambda", "TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ModuleWrapper", "TFSMLayer")
Reference = tuple[str, int, int]  # layer, number of its call, number of that call's output


@dataclass(frozen=True)
class Call:
    """One use of a layer.

    Attributes:
        inputs: tensors it is given.
        mask: tensor that says which frames count.
        others: names of further arguments that are tensors (``initial_state``).
    """

    inputs: tuple[Reference, ...]
    mask: tuple[Reference, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """A layer as configured.

    Attributes:
        name: as the user sees it in ``model.summary()``; of one in a nested network: ``network/layer``.
        kind: its class; for a plain function (``keras.ops``) the function's class.
        config: its settings.
        calls: where it is used; none in a Sequential network.
        version: major version of the Keras that wrote it: some functions changed.
        is_function: a function of ``keras.ops``, which has no weights and no place among the layers.
    """

    name: str
    kind: str
    config: dict[str, Any]
    calls: tuple[Call, ...] = ()
    version: int = 3
    is_function: bool = False

    @property
    def label(self) -> str:
        """For messages."""
        return f"layer '{self.name}' ({self.kind})"

    def refused(self, reason: str, way: str) -> NotStreamable:
        return NotStreamable(f"{self.label}: {reason}; {way}")

    def setting(self, key: str, default: Any) -> Any:
        """A setting; ``default`` where the configuration leaves it out."""
        value = self.config.get(key, default)
        return default if value is None else value

    def integer(self, key: str, default: int | None = None) -> int:
        """A setting that must be a whole number."""
        value = self.config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ExportError(
                f"{self.label}: its {key} is {printable(repr(value)[:40])}, not a whole number; save it again"
            )
        return value

    def number(self, key: str, default: float) -> float:
        """A setting that must be a number."""
        value = self.setting(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ExportError(
                f"{self.label}: its {key} is {printable(repr(value)[:40])}, not a number; save it again"
            )
        return float(value)

    def integers(self, key: str, count: int, default: int = 1) -> list[int]:
        """A setting that is one whole number for all axes, or one for each."""
        value = self.setting(key, default)
        values = list(value) if isinstance(value, list | tuple) else [value] * count
        if len(values) != count or not all(type(each) is int for each in values):
            raise ExportError(
                f"{self.label}: its {key} is {printable(repr(value)[:40])}, not {count} whole numbers; save it again"
            )
        return values


@dataclass(frozen=True)
class Network:
    """A Sequential or functional network as configured.

    Attributes:
        name: of the network.
        layers: in the order of the configuration.
        inputs, outputs: tensors; none for a Sequential network, which is a chain.
        input_shape: with the batch, as far as the configuration tells.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[Reference, ...] = ()
    outputs: tuple[Reference, ...] = ()
    input_shape: tuple[int | None, ...] | None = None
    sequential: bool = field(default=False)


def read_network(entry: dict[str, Any], version: int, prefix: str = "") -> Network:
    """Read a network's entry.

    Args:
        entry: ``{"class_name": ..., "config": {...}}``.
        version: major version of Keras.
        prefix: of its layers' names, for a nested network.

    Raises:
        NotStreamable: it is a class of the user's own, whose code is not in the file.
        ExportError: it is not as Keras writes it.
    """
    kind, config = entry.get("class_name"), entry.get("config")
    if kind not in NETWORKS or not _is_known(entry):
        raise NotStreamable(
            f"the network is of class {printable(str(kind))[:60]}, whose code is not in the file; build it as a "
            "Sequential or functional network and set its weights, or export it to ONNX and give that"
        )
    if isinstance(config, list):  # Sequential of Keras 2.1 and before
        config = {"layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise ExportError("the configuration of the network has no list of layers; save it again")
    entries = config["layers"]
    if len(entries) > MAX_LAYERS:
        raise ExportError(f"the network has {len(entries)} layers, more than {MAX_LAYERS}; save it again")
    layers = tuple(_layer(each, version, prefix) for each in entries)
    names = [layer.name for layer in layers]
    if len(set(names)) < len(names):
        raise ExportError("two layers of the network have one name; save it again")
    name = printable(str(config.get("name", kind)))
    built = entry.get("build_config")
    shape = config.get("build_input_shape") or (built.get("input_shape") if isinstance(built, dict) else None)
    if kind == "Sequential":
        return Network(name, layers, input_shape=_shape(shape), sequential=True)
    inputs = tuple(_references(config.get("input_layers"), prefix))
    outputs = tuple(_references(config.get("output_layers"), prefix))
    return Network(name, layers, inputs, outputs)


def input_shape(layer: Layer) -> tuple[int | None, ...] | None:
    """The shape of a layer's input with the batch, if the layer's own settings tell."""
    return _shape(layer.config.get("batch_shape") or layer.config.get("batch_input_shape"))


def _shape(value: Any) -> tuple[int | None, ...] | None:
    if not isinstance(value, list | tuple) or not all(v is None or type(v) is int for v in value):
        return None
    return tuple(value)


def _is_known(entry: dict[str, Any]) -> bool:
    """False for a class that somebody registered: it only shares the name."""
    registered, module = entry.get("registered_name"), entry.get("module")
    kind = entry.get("class_name")
    ours = module is None or (isinstance(module, str) and module.split(".")[0] in ("keras", "tf_keras"))
    return ours and registered in (None, kind)


def _layer(entry: Any, version: int, prefix: str) -> Layer:
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise ExportError("a layer of the configuration is not as Keras writes it; save it again")
    config = entry["config"]
    name = prefix + printable(str(entry.get("name") or config.get("name") or ""))
    kind = printable(str(entry.get("class_name")))
    if kind in _CODE:
        raise NotStreamable(
            f"layer '{name}' ({kind}): holds code, which is never run from a file; use a standard layer (Rescaling, "
            "Activation, …) in its place, or export the network to ONNX and give that"
        )
    if not _is_known(entry):
        raise NotStreamable(
            f"layer '{name}' ({kind}): is a class of your own, whose code is not in the file; use standard layers, or "
            "export the network to ONNX and give that"
        )
    if kind in NETWORKS:
        config = {"class_name": kind, "config": config, "build_config": entry.get("build_config")}
    module = entry.get("module")
    is_function = isinstance(module, str) and ".ops." in f"{module}."
    calls = tuple(
        _call(each, prefix, f"layer '{name}' ({kind})", is_function)
        for each in _list(entry.get("inbound_nodes"))
    )
    return Layer(name, kind, config, calls, version, is_function)


def _call(node: Any, prefix: str, label: str, is_function: bool) -> Call:
    inputs: list[Reference] = []
    mask: list[Reference] = []
    others: list[str] = []
    if isinstance(node, dict):  # Keras 3
        positional = _list(node.get("args"))
        named = node.get("kwargs")
        further = dict(named) if isinstance(named, dict) else {}
        mask = list(_tensors(further.pop("mask", None), prefix))
        first = positional if is_function else positional[:1] or further.pop("inputs", None)
        inputs = list(_tensors(first, prefix))
        others = ["further inputs"] if not is_function and list(_tensors(positional[1:], prefix)) else []
        others += [printable(str(key)) for key, value in further.items() if list(_tensors(value, prefix))]
        if not inputs:
            raise ExportError(f"{label}: is called without a tensor; save it again")
        return Call(tuple(inputs), tuple(mask), tuple(others))
    for item in [node] if node and isinstance(node[0], str) else _list(node):
        inputs += _references([item], prefix)
        further = item[3] if len(item) > 3 and isinstance(item[3], dict) else {}
        others += [printable(str(key)) for key, value in further.items() if _is_old_tensor(value)]
    return Call(tuple(inputs), (), tuple(others))


def _is_old_tensor(value: Any) -> bool:
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    return isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int


def _tensors(value: Any, prefix: str) -> Iterator[Reference]:
    """Tensors in an argument of Keras 3, however they are packed."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item, prefix)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        history = value.get("config")
        yield from _references([history.get("keras_history") if isinstance(history, dict) else None], prefix)
    elif isinstance(value, dict) and value.get("class_name") == "__numpy__":
        raise NotStreamable("a layer is given an array of numbers; use a layer with weights in its place")


def _references(value: Any, prefix: str) -> Iterator[Reference]:
    """``["layer", call, output]``, alone or several."""
    items = [value] if isinstance(value, list) and value and isinstance(value[0], str) else _list(value)
    for item in items:
        if not isinstance(item, list) or len(item) < 3 or not all(type(n) is int for n in item[1:3]):
            raise ExportError("the configuration does not say which tensor a layer is given; save it again")
        yield prefix + printable(str(item[0])), item[1], item[2]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
