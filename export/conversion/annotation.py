"""Tell each operator of a graph from torch which layer it came from, and which line of the user's code.

The two exporters say so in different ways; the rules that refuse an operator read one (``export.streaming.node``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import onnx
import torch
from torch import nn

from export.streaming.node import CLASSES_KEY, PLACE_KEY, SCOPES_KEY

_TORCH = str(Path(torch.__file__).parent)
_OURS = tuple(str(Path(__file__).parents[1] / name) for name in ("conversion", "recurrences"))
_TRACED = re.compile(r"^(?P<file>.+)\((?P<line>\d+)\): ", re.MULTILINE)  # innermost first
_EXPORTED = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')  # innermost last
_STACK_KEY = "pkg.torch.onnx.stack_trace"


def annotate(model: onnx.ModelProto, root: nn.Module) -> None:
    """Write layers and places into the metadata of every operator, in place.

    Args:
        model: from either exporter.
        root: the module that was exported.
    """
    classes = {name: type(module) for name, module in root.named_modules()}
    for node in model.graph.node:
        stack = next((p.value for p in node.metadata_props if p.key == _STACK_KEY), "")
        frames = [*reversed(_EXPORTED.findall(stack)), *_TRACED.findall(node.doc_string)]
        _set(node, PLACE_KEY, user_place((file, int(line)) for file, line in frames))
        node.doc_string = ""  # paths of this machine have no place in a model file
        parts = node.name.split("/")
        if not any(p.key == SCOPES_KEY for p in node.metadata_props) and len(parts) > 2 and not parts[0]:
            path = _resolved(parts[1:-1], classes)
            found = classes.get(path)
            name = f"{found.__module__}.{found.__qualname__}" if found else ""
            _set(node, SCOPES_KEY, repr(["", path, parts[-1]]))
            _set(node, CLASSES_KEY, repr(["", name, parts[-1]]))


def user_place(frames: Iterable[tuple[str, int]]) -> str:
    """ "net.py:12" of the innermost frame that is neither torch's nor ours; "" if there is none.

    Args:
        frames: (file, line), innermost first.
    """
    for file, line in frames:
        if not file.startswith((_TORCH, *_OURS, "<")):
            return f"{Path(file).name}:{line}"
    return ""


def _resolved(parts: list[str], known: Iterable[str]) -> str:
    """The path of a module, as torch names modules, from the scopes that the tracing exporter went through.

    A child of a Sequential or a list appears there under the name of its parent too.
    """
    paths = set(known)
    path = parent = ""
    for part in parts:
        joined = [".".join(filter(None, (start, part))) for start in (path, parent)]
        path, parent = next((each for each in joined if each in paths), joined[0]), path
    return path


def _set(node: onnx.NodeProto, key: str, value: str) -> None:
    if value:
        node.metadata_props.add(key=key, value=value)
