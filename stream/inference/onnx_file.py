"""A first look into an ONNX file without trusting it: metadata out, dangerous things refused.

Only messages of onnx.proto are read (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto); nothing
is executed and no other file is opened. ONNX Runtime sees the bytes afterwards.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from stream.errors import ModelError, NotOnnx
from stream.foreign import model_kind
from stream.inference.wire import Field, Malformed, fields, text, view

MAX_BYTES = 2**31 - 1  # protobuf's own limit for one message
# Bounds far above any real model (the bundled ones have 600 fields): a hostile file costs neither time nor memory.
MAX_NODES = 20_000
MAX_FIELDS = 1_000_000  # looked at in a second
MAX_METADATA_BYTES = 64 << 20
DOMAINS = {"", "ai.onnx", "com.microsoft"}
# Operators that can run forever or call something that is not arithmetic. Whatever else holds a graph is
# refused by that graph, except Scan: it ends with the frames it is given, and its body is looked into.
FORBIDDEN_OPERATORS = {"Loop", "If", "PyOp", "SequenceMap"}
# Operators that a file may explain by a function, for runtimes that do not know them: domain and name.
STREAM_OPERATORS = {("com.microsoft", "LinearAttention"), ("com.microsoft", "CausalConvWithState")}


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


class _Reader:
    """Reads messages of one file, and counts.

    Args:
        name: of the file, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes = self.metadata_bytes = self._fields = 0

    def fields(self, message: memoryview) -> Iterator[Field]:
        """Fields of a message; ModelError when the file holds too many."""
        for field in fields(message):
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise self.refused(f"more than {MAX_FIELDS} fields, as no model has")
            yield field

    def refused(self, why: str) -> ModelError:
        return ModelError(f"model {self.name}: {why}")


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
    reader = _Reader(name)
    graphs = 0
    try:
        for number, wire, value in reader.fields(memoryview(data)):
            if number == 7 and wire == 2:
                graphs += 1
                _check_graph(view(value), reader)
            elif number == 14 and wire == 2:
                reader.metadata_bytes += len(view(value))
                if reader.metadata_bytes > MAX_METADATA_BYTES:
                    raise reader.refused(
                        f"more than {MAX_METADATA_BYTES >> 20} MiB of metadata; export it again"
                    )
                entry = {n: v for n, w, v in reader.fields(view(value)) if w == 2}
                metadata[text(entry.get(1))] = text(entry.get(2))
            elif number == 25 and wire == 2:
                _check_function(view(value), reader)
            elif number == 20 and wire == 2:  # graphs that are not looked into
                raise reader.refused("has training steps; export it again")
    except Malformed as error:
        raise _not_onnx(data, name, str(error)) from None
    if graphs != 1:
        raise _not_onnx(data, name, "no graph")
    return metadata


def _not_onnx(data: bytes, name: str, reason: str) -> NotOnnx:
    found = model_kind(data)
    if found is not None:
        return NotOnnx(f"model {name}: is {found.name}, not an ONNX file: {found.way}")
    if data[:2] in (b"PK", b"\x80\x02"):
        return NotOnnx(f"model {name}: is a checkpoint, not a model yet; run: stream-classify export")
    return NotOnnx(f"model {name}: not an ONNX file ({reason}); want the .onnx that export wrote")


def _check_graph(graph: memoryview, reader: _Reader, inner: bool = False) -> None:
    for number, wire, value in reader.fields(graph):
        if wire != 2:
            continue
        if number == 1:
            reader.nodes += 1
            if reader.nodes > MAX_NODES:
                raise reader.refused(
                    f"more than {MAX_NODES} operators; a streaming model needs a few hundred"
                )
            _check_node(view(value), reader, inner)
        elif number == 5:
            _check_tensor(view(value), reader)
        elif number == 15:  # SparseTensorProto: values 1, indices 2
            for field, kind, part in reader.fields(view(value)):
                if kind == 2 and field in (1, 2):
                    _check_tensor(view(part), reader)


def _check_function(function: memoryview, reader: _Reader) -> None:
    """Only what explains one of STREAM_OPERATORS, by standard operators: so no function can call another."""
    parts = list(reader.fields(function))
    called = {(n, text(value)) for n, wire, value in parts if wire == 2 and n in (1, 10)}
    if not any(called == {(1, name), (10, domain)} for domain, name in STREAM_OPERATORS):
        raise reader.refused("has local functions; export it again")
    for number, wire, value in parts:
        if wire != 2:
            continue
        if number == 7:
            reader.nodes += 1
            node = view(value)
            if any(n == 7 and text(domain) != "" for n, w, domain in reader.fields(node) if w == 2):
                raise reader.refused("a local function uses more than standard operators; export it again")
            _check_node(node, reader, inner=False)
        elif number == 11:
            _check_attribute(view(value), reader, scans=False)


def _check_node(node: memoryview, reader: _Reader, inner: bool) -> None:
    scans = not inner and [text(v) for n, w, v in reader.fields(node) if (n, w) == (4, 2)] == ["Scan"]
    for number, wire, value in reader.fields(node):
        if wire != 2:
            continue
        if number == 4 and text(value) in FORBIDDEN_OPERATORS:
            raise reader.refused(
                f"operator {text(value)} is not allowed; a streaming model needs no control flow"
            )
        if number == 7 and text(value) not in DOMAINS:
            raise reader.refused(
                f"operators of domain {text(value)!r} are not allowed; use standard ONNX ones"
            )
        if number == 5:
            _check_attribute(view(value), reader, scans)


def _check_attribute(attribute: memoryview, reader: _Reader, scans: bool) -> None:
    for number, wire, value in reader.fields(attribute):
        if wire != 2:
            continue
        if number in (5, 10):  # t, tensors
            _check_tensor(view(value), reader)
        elif number == 6 and scans:
            _check_graph(view(value), reader, inner=True)
        elif number in (6, 11):  # g, graphs
            raise reader.refused(
                "an operator holds a graph of its own; a streaming model needs no control flow"
            )
        elif number in (22, 23):  # sparse_tensor(s)
            raise reader.refused("sparse constants are not allowed; export it again")


def _check_tensor(tensor: memoryview, reader: _Reader) -> None:
    for number, _, value in reader.fields(tensor):
        # external_data, or data_location EXTERNAL (an enum, of which protobuf keeps 32 bits)
        if number == 13 or (number == 14 and isinstance(value, int) and value & 0xFFFFFFFF == 1):
            raise reader.refused("weights are in another file; save it as one file (export it again)")
