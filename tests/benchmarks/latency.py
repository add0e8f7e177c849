"""From a sound to its line, through PulseAudio and PortAudio: ``python -m tests.benchmarks.latency``.

A virtual microphone (`tests.benchmarks.feed`) is fed bursts of noise, and the real command listens to it in a process
of its own (`tests.benchmarks.listener`) with ``--jsonl - --onsets`` and a model for which each burst is one onset
(`tests.benchmarks.level`). The detector decides after a sample that the line names (``decided_sample``). Up to there
the delay is the detector's own. From the moment that sample sounded to the moment its line was read from the command's
standard output, by this process, it is ours:

- capture: until the chunk with that sample is pushed (the card's period, sound server, PortAudio, ring, resampler);
- features, model, decision: in that push, for all its hops;
- line: the rest, up to the line in this process's hands.

Which sample is which is found by correlating what was heard before the decision with what was written. All processes
read the same time.monotonic.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from tests.benchmarks.feed import PERIOD_SECONDS, Feed
from tests.benchmarks.level import SAMPLE_RATE, bursts, level_model
from tests.support.command import running
from tests.support.pulse import PulseServer, pulse_server

LEAD_SECONDS = 6.0  # before the first burst, for the command to start
MATCH_SAMPLES = 4000  # before a decision, by which their place in the sound is found
PARTS = ["capture", "features", "model", "decision", "line"]
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Measured:
    """Bursts that were reported.

    Attributes:
        parts: (n, 5) seconds, columns as PARTS.
        own: (n,) seconds of sound from a burst's first sample to the detector's decision.
        callback: (n,) seconds of ``capture`` that had passed when PortAudio called back with the chunk's last sample.
        bursts: how many there were.
    """

    parts: NDArray[np.float64]
    own: NDArray[np.float64]
    callback: NDArray[np.float64]
    bursts: int

    def table(self) -> str:
        """Milliseconds."""
        rows = {name: self.parts[:, column] for column, name in enumerate(PARTS)}
        rows = {"the detector's own delay": self.own, "sound to line beyond it": self.parts.sum(axis=1)} | {
            f"  {name}": values for name, values in rows.items()
        }
        rows["  capture, up to PortAudio's callback"] = self.callback
        lines = [f"{len(self.own)} of {self.bursts} bursts reported", ""]
        lines.append(f"{'milliseconds':40s}{'p50':>9s}{'p99':>9s}{'most':>9s}")
        for name, values in rows.items():
            p50, p99 = np.percentile(values, [50, 99]) * 1000
            lines.append(f"{name:40s}{p50:9.2f}{p99:9.2f}{values.max() * 1000:9.2f}")
        return "\n".join(lines)


def measure(
    server: PulseServer, folder: Path, count: int = 150, rate: int = SAMPLE_RATE, lead: float = LEAD_SECONDS
) -> Measured:
    """Play bursts to the command and find each in its lines.

    Args:
        server: a running PulseAudio of ours.
        folder: for the model and the stopwatch.
        count: bursts.
        rate: Hz, of the microphone and what the command opens it at.
        lead: seconds before the first burst.
    """
    (folder / "level.onnx").write_bytes(level_model())
    sound, begins = bursts(count, lead)
    played = sound if rate == SAMPLE_RATE else soxr.resample(sound, SAMPLE_RATE, rate)
    feed = Feed(server, played, rate, folder / "pipe")
    words = ["--device", "pulse", "--sample-rate", str(rate), "--model", str(folder / "level.onnx")]
    lines = _listen(server, feed, words, folder / "watch.npz")
    with np.load(folder / "watch.npz") as watch:
        pushes, samples, lengths = watch["pushes"], watch["samples"], watch["lengths"]
        push_of = {int(decided): int(push) for decided, push in watch["onsets"]}
    starts = pushes[:, 3].astype(np.int64)
    offsets = np.cumsum(lengths) - lengths  # where each chunk lies in samples
    place = _Places(played)
    first = begins * rate // SAMPLE_RATE  # of each burst, at the microphone's rate, as all that follows
    parts, own, callback = [], [], []
    for read, line in lines:
        if line["type"] != "onset":
            continue
        push = push_of[line["decided_sample"]]
        # Samples of the push's chunk up to the decision: none or fewer where the resampler held sound back.
        within = line["decided_sample"] * rate // SAMPLE_RATE - starts[push]
        end = place.of(samples[: offsets[push] + within][-MATCH_SAMPLES:])
        burst = int(np.searchsorted(first, end, side="right")) - 1
        if burst < 0 or end - first[burst] > 0.2 * rate:
            continue  # an opening microphone can click
        begin, _, arrived, _, *computing = pushes[push]
        sounded = feed.moment(end - 1)
        last = feed.moment(end - 1 + lengths[push] - within)
        capture = begin - sounded
        parts.append([capture, *computing, read - begin - sum(computing)])
        own.append((end - first[burst]) / rate)
        callback.append(arrived - last)
    return Measured(np.array(parts).reshape(-1, len(PARTS)), np.array(own), np.array(callback), len(begins))


def _listen(
    server: PulseServer, feed: Feed, words: list[str], watch: Path
) -> list[tuple[float, dict[str, Any]]]:
    """Run the command for as long as the feed lasts: its lines, each with the moment it was read."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.listener",
        str(watch),
        *words,
        "--jsonl",
        "-",
        "--onsets",
    ]
    environment = {**os.environ, **server.env}
    feed.start()
    with running(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)) as child:

        def end() -> None:
            feed.join(feed.seconds + 20)
            child.send_signal(signal.SIGTERM)

        threading.Thread(target=end, daemon=True).start()
        assert child.stdout is not None
        lines, rest = [], b""
        while data := os.read(child.stdout.fileno(), 1 << 16):
            now = time.monotonic()
            *whole, rest = (rest + data).split(b"\n")
            lines += [(now, json.loads(line)) for line in whole]
        child.wait(20)
    if child.returncode:
        raise RuntimeError(f"the command ended with {child.returncode}")
    return lines


class _Places:
    """Where in a sound a piece of it lies."""

    def __init__(self, sound: NDArray[np.float32]) -> None:
        self._size = len(sound)
        self._spectrum = np.fft.rfft(np.sign(sound), 2 * len(sound))  # all of the noise counts alike

    def of(self, piece: NDArray[np.float32]) -> int:
        """Index one past its last sample."""
        match = np.fft.rfft(np.sign(piece), 2 * self._size)
        return int(np.argmax(np.fft.irfft(self._spectrum * np.conj(match)))) + len(piece)


def main() -> None:
    parser = argparse.ArgumentParser(description="sound to line, through PulseAudio and PortAudio")
    parser.add_argument("--bursts", type=int, default=150, help="how many (default 150)")
    parser.add_argument(
        "--samplerate", type=int, default=SAMPLE_RATE, help="of the microphone, Hz (default 16000)"
    )
    asked = parser.parse_args()
    try:
        with pulse_server() as server, tempfile.TemporaryDirectory() as folder:
            found = measure(server, Path(folder), asked.bursts, asked.samplerate)
    except pytest.skip.Exception as missing:
        sys.exit(str(missing))
    print(f"microphone at {asked.samplerate} Hz in periods of {1000 * PERIOD_SECONDS:g} ms")
    print(found.table())


if __name__ == "__main__":
    main()
