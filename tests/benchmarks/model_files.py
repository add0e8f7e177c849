"""What one step of several model files costs, in one run: ``python -m tests.benchmarks.model_files OLD NEW``.

Made for a model that was exported again. The files take turns, one thread each, so that what else the machine does
falls on all of them; printed are medians in microseconds for a stream and a frame, and the ratio to the first file.
A file of another version comes from git: ``git show v0.1.0:assets/default.onnx > old.onnx``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

CASES = ((1, 1, 400), (1, 4, 200), (256, 1, 12), (256, 4, 6))  # streams, frames, calls in a turn
TURNS = 30
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


def opened(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def inputs(session: ort.InferenceSession, streams: int, frames: int) -> dict[str, np.ndarray]:
    """Noise as features, and states of zeros."""
    found = {}
    for each in session.get_inputs():
        sizes = {"N": streams, "T": frames}
        shape = [size if isinstance(size, int) else sizes[size] for size in each.shape]
        found[each.name] = np.zeros(shape, TYPES[each.type])
    name = next(iter(found))
    found[name] = np.random.default_rng(0).standard_normal(found[name].shape).astype(np.float32)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="what does a step of each of these model files cost?")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    files: list[Path] = parser.parse_args().files
    sessions = [opened(path) for path in files]
    for streams, frames, calls in CASES:
        feeds = [inputs(session, streams, frames) for session in sessions]
        times: list[list[float]] = [[] for _ in sessions]
        for _ in range(TURNS):
            for taken, session, feed in zip(times, sessions, feeds, strict=True):
                begin = time.perf_counter()
                for _ in range(calls):
                    session.run(None, feed)
                taken.append((time.perf_counter() - begin) / (calls * streams * frames) * 1e6)
        print(f"{streams} streams, {frames} frames at once: microseconds for a stream and a frame")
        for path, taken in zip(files, times, strict=True):
            ratio = statistics.median(b / a for a, b in zip(times[0], taken, strict=True))
            print(f"  {statistics.median(taken):8.2f}  {ratio:5.2f}  {path}")


if __name__ == "__main__":
    main()
