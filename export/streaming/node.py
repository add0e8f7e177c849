"""A node of the offline graph as the rules read it, with a name a person recognises."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx

SCOPES_KEY = "pkg.torch.onnx.name_scopes"  # as torch.export writes them
CLASSES_KEY = "pkg.torch.onnx.class_hierarchy"
PLACE_KEY = "stream_classify.place"  # file and line of the user's code
LAYER_CLASS = "stream_classify.layer_class"  # of a node that a front end wrote: the user's class of layer


@dataclass(frozen=True)
class Node:
    proto: onnx.NodeProto

    @property
    def op(self) -> str:
        return str(self.proto.op_type)

    @property
    def inputs(self) -> list[str]:
        return list(self.proto.input)

    @property
    def outputs(self) -> list[str]:
        return list(self.proto.output)

    @property
    def output(self) -> str:
        return str(self.proto.output[0])

    @cached_property
    def attrs(self) -> dict[str, Any]:
        return {a.name: onnx.helper.get_attribute_value(a) for a in self.proto.attribute}

    def input(self, position: int) -> str:
        """Name of an input, "" if it is left out."""
        return self.proto.input[position] if position < len(self.proto.input) else ""

    @cached_property
    def path(self) -> str:
        """Module path of the layer, "" for the network's own forward or if the graph does not tell."""
        scopes = self._scopes(SCOPES_KEY)
        if scopes:
            names = scopes[:-1] if len(scopes) > 1 else []  # the last scope is the operator itself
            return _without_wrapper(next((name for name in reversed(names) if name), ""))
        parts = self.proto.name.split("/")
        if len(parts) > 2 and not parts[0]:  # the tracing exporter writes /block/conv/Conv
            return _without_wrapper(".".join(parts[1:-1]))
        return ""

    @property
    def layer_class(self) -> str:
        """Class of the layer if the graph tells, else the operator."""
        named = next((p.value for p in self.proto.metadata_props if p.key == LAYER_CLASS), "")
        if named:
            return named
        classes = self._scopes(CLASSES_KEY)
        inner = classes[-2] if len(classes) > 1 else ""
        return inner.rsplit(".", 1)[-1] if inner.startswith("torch.nn.modules") else self.op

    def _scopes(self, key: str) -> list[str]:
        text = next((p.value for p in self.proto.metadata_props if p.key == key), "[]")
        return [str(scope) for scope in ast.literal_eval(text)]

    @property
    def place(self) -> str:
        """ "net.py:12", where the user's code called for it, if the graph tells."""
        return next((p.value for p in self.proto.metadata_props if p.key == PLACE_KEY), "")

    @property
    def label(self) -> str:
        """For messages: layer 'encoder.conv' (Conv1d); what is no layer of torch.nn also by file and line."""
        place = f" at {self.place}" if self.place and self.layer_class == self.op else ""
        if self.path:
            return f"layer '{self.path}' ({self.layer_class}){place}"
        return f"operator '{self.proto.name or self.output}' ({self.op}){place}"


def _without_wrapper(path: str) -> str:
    """Module path as the user knows it: without the wrapper that the torch front end puts around."""
    return "" if path == "net" else path.removeprefix("net.")
