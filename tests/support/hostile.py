"""Damaged model files and cards, and a child process that tries them: ONNX Runtime is native code, and a crash
of it must be seen, not suffered."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HANG_SECONDS = 30  # a case that takes longer is taken to hang
OPERATORS = ["Add", "Concat", "Conv", "Expand", "Gather", "GRU", "LSTM", "MatMul", "Pad", "Range", "Relu"]
OPERATORS += ["Reshape", "Resize", "Scan", "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "Tile", "Where"]
NUMBERS = [0, 1, -1, 2, 3, 17, 255, 2**15, 2**20, 2**31 - 1, 2**31, 2**40, -(2**31), 2**62, -(2**63)]

NASTY = [
    "null",
    "-1",
    "0",
    "1",
    "2",
    "7",
    "1e308",
    "1e-320",
    "1e-39",
    "9" * 400,
    '""',
    "[]",
    "{}",
    "true",
    '"x"',
]
NASTY += ['"\\ud800"', '"\\u0000"', "[" * 500, "1.5", "-9223372036854775808", "9223372036854775807", '"AAAA"']
NASTY += ["[-1,-1]", "[1,-1,99999999999]", '"int64"', '"speech"', '["a","b","c"]', '{"a":{}}', "3600", "0.5"]


def varint(number: int) -> bytes:
    """A protobuf varint, of any length."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, data: bytes, *, extra: int = 0) -> bytes:
    """A length-delimited protobuf field; ``extra`` is added to its key."""
    return varint((number << 3 | 2) + extra) + varint(len(data)) + data


def damaged_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Flipped bits, a cut, a splice, a repeat, a deletion, or a length that lies; one to four of them."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, max(1, len(out))))
        size = int(rng.integers(1, 64))
        kind = int(rng.integers(0, 7))
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1 and out:
            out[at % len(out)] = int(rng.integers(0, 256))
        elif kind == 2:
            del out[at:]
        elif kind == 3:
            other = int(rng.integers(0, len(data)))
            out[at : at + size] = data[other : other + size]
        elif kind == 4:
            out[at:at] = out[at : at + size] * int(rng.integers(1, 40))
        elif kind == 5:
            del out[at : at + size]
        else:
            out[at:at] = varint(2 ** int(rng.integers(0, 70)))
    return bytes(out)


def damaged_graph(data: bytes, rng: np.random.Generator) -> bytes:
    """A file that is still protobuf, with a graph that is wrong: other operators, edges, sizes, types, weights."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    for _ in range(int(rng.integers(1, 4))):
        node = graph.node[int(rng.integers(0, len(graph.node)))]
        tensor = graph.initializer[int(rng.integers(0, len(graph.initializer)))]
        port = [*graph.input, *graph.output][int(rng.integers(0, len(graph.input) + len(graph.output)))]
        names = [n for each in graph.node for n in (*each.input, *each.output)]
        number = NUMBERS[int(rng.integers(0, len(NUMBERS)))]
        kind = int(rng.integers(0, 10))
        if kind == 0:
            node.op_type = OPERATORS[int(rng.integers(0, len(OPERATORS)))]
        elif kind == 1 and node.input:
            node.input[int(rng.integers(0, len(node.input)))] = names[int(rng.integers(0, len(names)))]
        elif kind == 2 and node.output:
            node.output[0] = names[int(rng.integers(0, len(names)))]
        elif kind == 3 and node.attribute:
            attribute = node.attribute[int(rng.integers(0, len(node.attribute)))]
            attribute.i = number
            if attribute.ints:
                attribute.ints[0] = number
        elif kind == 4 and tensor.dims:
            tensor.dims[int(rng.integers(0, len(tensor.dims)))] = number
        elif kind == 5:
            tensor.data_type = int(rng.integers(0, 24))
        elif kind == 6:
            tensor.raw_data = tensor.raw_data[: int(rng.integers(0, len(tensor.raw_data) + 1))]
        elif kind == 7:
            port.type.tensor_type.elem_type = int(rng.integers(0, 24))
        elif kind == 8:
            dims = port.type.tensor_type.shape.dim
            dims[int(rng.integers(0, len(dims)))].dim_value = number
        else:
            graph.node.add().CopyFrom(node)
    return bytes(model.SerializeToString())


def damaged_text(text: str, rng: np.random.Generator) -> str:
    """JSON with one to three values anywhere in it replaced by nasty ones; or its bytes damaged."""
    if rng.integers(0, 4) == 0:
        return damaged_bytes(text.encode(), rng).decode("utf-8", "replace")
    tree = json.loads(text)
    for _ in range(int(rng.integers(1, 4))):
        places = [
            (holder, key)
            for holder in _holders(tree)
            for key in (holder if isinstance(holder, dict) else range(len(holder)))
        ]
        holder, key = places[int(rng.integers(0, len(places)))]
        holder[key] = f"<{int(rng.integers(0, len(NASTY)))}>"
    return re.sub(r'"<(\d+)>"', lambda found: NASTY[int(found[1])], json.dumps(tree))


def _holders(tree: Any) -> list[Any]:
    """Every dict and list in it."""
    if not isinstance(tree, (dict, list)):
        return []
    inner = tree.values() if isinstance(tree, dict) else tree
    return [tree, *(holder for value in inner for holder in _holders(value))]


def try_in_child(cases: list[bytes], folder: Path, seconds: float = 2.0) -> Iterator[tuple[int, str]]:
    """(index, what went wrong) of every case that neither loads nor is refused as it should be, or is slow.

    A child process takes the cases in turn; when it dies, as it does by a case that hangs, a new one goes on behind
    the one that killed it.
    """
    pack = folder / "cases.bin"
    pack.write_bytes(b"".join(struct.pack("<I", len(case)) + case for case in cases))
    begin = 0
    while begin < len(cases):
        child = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.support.hostile", str(pack), str(begin)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=60 + HANG_SECONDS * (len(cases) - begin),
        )
        done = begin - 1
        for line in child.stdout.splitlines():
            if not line.startswith("case "):
                continue  # ONNX Runtime may print too
            _, index, took, verdict = line.split(" ", 3)
            done = int(index)
            if verdict != "fine":
                yield done, verdict
            elif float(took) > seconds:
                yield done, f"took {took} s of CPU"
        if done + 1 < len(cases):
            yield done + 1, f"killed the process: {child.returncode} {child.stderr[-300:]}"
        begin = done + 2


def main(pack: str, begin: int) -> None:
    """The child: one line a case."""
    from stream.classifier import StreamClassifier
    from stream.errors import StreamClassifyError
    from stream.inference.session import Model

    # A gigabyte above what the libraries take is all a file may cost.
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2**30, resource.RLIM_INFINITY))
    data = Path(pack).read_bytes()
    at = index = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        case = data[at + 4 : at + 4 + size]
        at += 4 + size
        if index >= begin:
            signal.alarm(HANG_SECONDS)  # the end of this process, even from within a library
            start = time.process_time()
            verdict = "fine"
            try:
                classifier = StreamClassifier(Model(case))
                classifier.push(np.zeros(4000, np.float32))
                classifier.flush()
            except StreamClassifyError as error:
                if "\n" in str(error):
                    verdict = f"more than one line: {str(error)!r}"
            except BaseException as error:
                verdict = f"{type(error).__name__}: {error}"[:300].replace("\n", " ")
            print("case", index, f"{time.process_time() - start:.3f}", verdict, flush=True)
        index += 1


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
