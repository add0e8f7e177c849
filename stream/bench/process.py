"""Start-up time and memory: what new processes take, and whether a stream that goes on forever keeps growing."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.classifier import StreamClassifier
from stream.errors import UsageError
from stream.inference.session import Model

GROWTH_HOPS = 50_000
SETTLE_HOPS = 2_000  # after which everything that is made once has been made
PROCESS_SECONDS = 300.0  # after which a new process is taken to hang

_HELP = "from stream.cli import main; main(['--help'])"
_FIRST = """
import sys
import numpy as np
from stream.inference.session import Model
from stream.classifier import StreamClassifier
classifier = StreamClassifier(Model.load(sys.argv[1], 'cpu'))
spec = classifier.model.card.features
sound = np.zeros(spec.span + spec.hop_length * classifier.model.card.stride, np.float32)
assert len(classifier.push(sound).scores)
"""
# Not ru_maxrss: it starts from what the parent process had.
_LIVE = """
import os, sys
from stream.cli import main
try:
    main(['--input', sys.argv[2], '--model', sys.argv[1], '--fast', '--jsonl', os.devnull])
except SystemExit as end:
    if end.code:
        raise
with open('/proc/self/status') as status:
    print(next(line.split()[1] for line in status if line.startswith('VmHWM')))
"""


def start_up(model: Path, recording: Path, repeats: int = 5) -> dict[str, float]:
    """Medians over new processes, with all files in the system's cache.

    Args:
        model: file of the model.
        recording: what the live run hears.
        repeats: processes per figure.

    Returns:
        "help_seconds", "first_probability_seconds" (from the start of the process to its end), and, on Linux,
        "live_run_mib", the largest resident memory of a run that writes JSON lines.
    """
    _seconds(_HELP)  # once uncounted: it also writes the byte code
    found = {
        "help_seconds": statistics.median(_seconds(_HELP) for _ in range(repeats)),
        "first_probability_seconds": statistics.median(_seconds(_FIRST, str(model)) for _ in range(repeats)),
    }
    if Path("/proc/self/status").is_file():
        found["live_run_mib"] = float(_run(_LIVE, str(model), str(recording)).split()[-1]) / 2**10
    return found


def growth(model: Model, hops: Sequence[NDArray[np.float32]], pushes: int = GROWTH_HOPS) -> int:
    """Bytes that the Python and NumPy memory of a running stream grows by over ``pushes`` hops.

    Args:
        model: what to run.
        hops: (hop,) float32 each, pushed over and over.
        pushes: how many.
    """
    classifier, turn = StreamClassifier(model), cycle(hops)
    tracemalloc.start()
    try:
        for hop in islice(turn, SETTLE_HOPS):
            classifier.push(hop)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for hop in islice(turn, pushes):
            classifier.push(hop)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def _seconds(code: str, *arguments: str) -> float:
    begin = time.perf_counter()
    _run(code, *arguments)
    return time.perf_counter() - begin


def _run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PROCESS_SECONDS)
    except subprocess.TimeoutExpired:
        raise UsageError(f"bench: a new process was not done in {PROCESS_SECONDS:g} s") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UsageError(f"bench: a new process failed: {last[0]}")
    return done.stdout
