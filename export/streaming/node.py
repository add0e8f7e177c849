"""A node of the offline graph as the rules read it, with a name a person recognises."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx


@dataclass(frozen=True)
class Node:
    proto: onnx.NodeProto

    @property
    def op(self) -> str:
        return self.proto.op_type

    @property
    def inputs(self) -> list[str]:
        return list(self.proto.input)

    @property
    def outputs(self) -> list[str]:
        return list(self.proto.output)

    @property
    def output(self) -> str:
        return self.proto.output[0]

    @cached_property
    def attrs(self) -> dict[str, Any]:
        return {a.name: onnx.helper.get_attribute_value(a) for a in self.proto.attribute}

    def input(self, position: int) -> str:
        """Name of an input, "" if it is left out."""
        return self.proto.input[position] if position < len(self.proto.input) else ""

    @cached_property
    def path(self) -> str:
        """Module path of the layer, or "" if the graph does not tell."""
        scopes = {p.key: p.value for p in self.proto.metadata_props}.get("pkg.torch.onnx.name_scopes")
        if scopes:
            names = [str(s) for s in ast.literal_eval(scopes)]
            inner = names[:-1] if len(names) > 1 else []  # the last scope is the operator itself
            return next((name for name in reversed(inner) if name), "")
        parts = self.proto.name.split("/")
        if len(parts) > 2 and not parts[0]:  # the legacy exporter writes /block/conv/Conv
            return re.sub(r"^net\.|^module\.", "", ".".join(parts[1:-1]))
        return ""

    @property
    def label(self) -> str:
        """For messages: layer 'encoder.conv' (Conv)."""
        if self.path:
            return f"layer '{self.path}' ({self.op})"
        return f"operator '{self.proto.name or self.output}' ({self.op})"
