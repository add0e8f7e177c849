"""A first look into an ONNX file without trusting it: metadata out, dangerous things refused.

Only messages of onnx.proto are read (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto); nothing
is executed and no other file is opened. ONNX Runtime sees the bytes afterwards.
"""

from __future__ import annotations

import stat
from pathlib import Path

from stream.errors import ModelError, NotOnnx
from stream.inference.wire import Malformed, fields, text, view

MAX_BYTES = 2**31 - 1  # protobuf's own limit for one message
_DOMAINS = {"", "ai.onnx", "com.microsoft"}
# Operators that can run forever or call something that is not arithmetic. Any other operator that holds a graph
# is refused because of that graph. The exporter writes none of them.
FORBIDDEN_OPERATORS = {"Loop", "Scan", "If", "PyOp", "SequenceMap"}


def read_model_file(path: str | Path) -> bytes:
    """The bytes of a model file; ModelError if it cannot be read."""
    file = Path(path)
    try:
        about = file.stat()
        if stat.S_ISDIR(about.st_mode):
            raise ModelError(f"model {file}: is a folder; name the .onnx file in it")
        if not stat.S_ISREG(about.st_mode):  # a pipe would block, a device might never end
            raise ModelError(f"model {file}: is not a regular file; save it as one")
        size = about.st_size
        if size > MAX_BYTES:
            raise ModelError(f"model {file}: {size} bytes; an ONNX file has at most 2 GiB")
        return file.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"model {file}: no such file; train one with: stream-classify train --help"
        ) from None
    except OSError as error:
        raise ModelError(f"model {file}: cannot be read ({error.strerror}); check the path") from None


def scan(data: bytes, name: str) -> dict[str, str]:
    """Metadata of a model, after checking that it is one self-contained file of plain operators.

    Args:
        data: the file.
        name: for messages.

    Returns:
        ``metadata_props`` as a dict.

    Raises:
        NotOnnx: not a protobuf of the right shape, or no graph.
        ModelError: weights in another file, control flow, or operators of an unknown domain.
    """
    metadata: dict[str, str] = {}
    graphs = 0
    try:
        for number, wire, value in fields(memoryview(data)):
            if number == 7 and wire == 2:
                graphs += 1
                _check_graph(view(value), name)
            elif number == 14 and wire == 2:
                entry = {n: v for n, w, v in fields(view(value)) if w == 2}
                metadata[text(entry.get(1))] = text(entry.get(2))
            elif number in (20, 25) and wire == 2:  # graphs that are not looked into
                raise ModelError(f"model {name}: has local functions or training steps; export it again")
    except Malformed as error:
        raise NotOnnx(f"model {name}: not an ONNX file ({error}); want the .onnx that export wrote") from None
    if graphs != 1:
        raise NotOnnx(f"model {name}: not an ONNX file (no graph); want the .onnx that export wrote")
    return metadata


def _check_graph(graph: memoryview, name: str) -> None:
    for number, wire, value in fields(graph):
        if wire != 2:
            continue
        if number == 1:
            _check_node(view(value), name)
        elif number == 5:
            _check_tensor(view(value), name)
        elif number == 15:  # SparseTensorProto: values 1, indices 2
            for inner, kind, part in fields(view(value)):
                if kind == 2 and inner in (1, 2):
                    _check_tensor(view(part), name)


def _check_node(node: memoryview, name: str) -> None:
    for number, wire, value in fields(node):
        if wire != 2:
            continue
        if number == 4 and text(value) in FORBIDDEN_OPERATORS:
            raise ModelError(
                f"model {name}: operator {text(value)} is not allowed; a streaming model needs no control flow"
            )
        if number == 7 and text(value) not in _DOMAINS:
            raise ModelError(
                f"model {name}: operators of domain {text(value)!r} are not allowed; use standard ONNX ones"
            )
        if number == 5:
            _check_attribute(view(value), name)


def _check_attribute(attribute: memoryview, name: str) -> None:
    for number, wire, value in fields(attribute):
        if wire != 2:
            continue
        if number in (5, 10):  # t, tensors
            _check_tensor(view(value), name)
        elif number in (6, 11):  # g, graphs
            raise ModelError(
                f"model {name}: an operator holds a graph of its own; a streaming model needs no control flow"
            )
        elif number in (22, 23):  # sparse_tensor(s)
            raise ModelError(f"model {name}: sparse constants are not allowed; export it again")


def _check_tensor(tensor: memoryview, name: str) -> None:
    for number, _, value in fields(tensor):
        # external_data, or data_location EXTERNAL (an enum, of which protobuf keeps 32 bits)
        if number == 13 or (number == 14 and isinstance(value, int) and value & 0xFFFFFFFF == 1):
            raise ModelError(
                f"model {name}: weights are in another file; save it as one file (export it again)"
            )
