"""What it takes to start, and what a running stream keeps in memory: each in a new process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from stream.errors import UsageError

_HELP = "from stream.cli import main; main(['--help'])"
_FIRST = """
import sys
import numpy as np
from stream.inference.session import Model
from stream.classifier import StreamClassifier
classifier = StreamClassifier(Model.load(sys.argv[1], 'cpu'))
spec = classifier.model.card.features
sound = np.zeros(spec.n_fft + spec.hop_length * classifier.model.card.stride, np.float32)
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
    """Medians of new processes, files already in the system's cache.

    Args:
        model: file of the model.
        recording: what the live run hears.
        repeats: processes a figure.

    Returns:
        "help_seconds", "first_probability_seconds" (from the start of the process to its end), and, where the
        system says it in /proc, "live_run_mib", the largest resident memory of a run with JSON lines.
    """
    _seconds(_HELP)  # also writes the byte code
    found = {
        "help_seconds": statistics.median(_seconds(_HELP) for _ in range(repeats)),
        "first_probability_seconds": statistics.median(_seconds(_FIRST, str(model)) for _ in range(repeats)),
    }
    if Path("/proc/self/status").is_file():
        found["live_run_mib"] = float(_run(_LIVE, str(model), str(recording)).split()[-1]) / 2**10
    return found


def _seconds(code: str, *arguments: str) -> float:
    begin = time.perf_counter()
    _run(code, *arguments)
    return time.perf_counter() - begin


def _run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UsageError(f"bench: a new process failed: {last[0]}")
    return done.stdout
