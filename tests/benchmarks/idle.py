"""What a live run with its dashboard costs: ``python -m tests.benchmarks.idle``.

The real command runs on a pseudo-terminal of 80 x 24, on a scripted microphone and through PulseAudio with music
playing, with a GRU of 64 units on hops of 10 ms. Its own CPU time is read from /proc; the sound server's is not in it.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from stream.bench.graphs import gru_model
from tests.benchmarks.feed import Feed
from tests.support.pulse import pulse_server
from tests.support.sounds import demo

ROOT = Path(__file__).resolve().parents[2]
SETTLE_SECONDS = 5.0  # after the start, not counted
ROWS, COLUMNS = 24, 80


def watch(words: list[str], seconds: float, environment: dict[str, str]) -> str:
    """Run the command for a while: its share of a core, its memory, and what it draws."""
    share, memory, characters = run_for(words, seconds, environment)
    return f"{100 * share:5.1f} % of a core, {memory:4.0f} MiB, {characters:6.0f} characters drawn per second"


def run_for(
    words: list[str], seconds: float, environment: dict[str, str], checkout: Path = ROOT
) -> tuple[float, float, float]:
    """Share of a core, resident MiB, and characters drawn per second, of the command of a checkout."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-m", "stream", *words],
        cwd=checkout,
        env={**os.environ, **environment, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(theirs)
    drawn = _drain(ours)
    try:
        time.sleep(SETTLE_SECONDS)
        before, begin, characters = _cpu(child.pid), time.monotonic(), drawn[0]
        time.sleep(seconds)
        share = (_cpu(child.pid) - before) / (time.monotonic() - begin)
        characters = drawn[0] - characters
        status = Path(f"/proc/{child.pid}/status").read_text().splitlines()
        memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 2**10
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)
        os.close(ours)
    return share, memory, characters / seconds


def _drain(terminal: int) -> list[int]:
    """Read what is drawn, as a terminal must; the number of bytes so far."""
    seen = [0]

    def read() -> None:
        try:
            while data := os.read(terminal, 1 << 16):
                seen[0] += len(data)
        except OSError:
            return  # the other side is gone

    threading.Thread(target=read, daemon=True).start()
    return seen


def _cpu(pid: int) -> float:
    """Seconds of CPU that a running process and its threads have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU share of a live run with its dashboard")
    parser.add_argument("--seconds", type=float, default=30, help="counted in each run (default 30)")
    parser.add_argument("--hidden", type=int, default=64, help="units of the GRU (default 64)")
    parser.add_argument("--model", help="a model in place of the GRU: a file, or a bundled one by name")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gru.onnx").write_bytes(gru_model(asked.hidden))
        model = ["--model", asked.model or str(folder / "gru.onnx")]
        noise = ["--input", "sim:noise?loop=forever"]
        print(f"{'simulated noise':28s}{watch([*noise, *model], asked.seconds, {})}", flush=True)
        for rate in (16000, 44100):
            label = f"PulseAudio at {rate} Hz"
            try:
                with pulse_server() as server:
                    long = np.resize(demo(rate), round((asked.seconds + 3 * SETTLE_SECONDS) * rate))
                    feed = Feed(server, long, rate, folder / f"pipe-{rate}")
                    feed.start()
                    words = ["--device", "pulse", "--sample-rate", str(rate), *model]
                    print(f"{label:28s}{watch(words, asked.seconds, server.env)}", flush=True)
                    feed.stop()
            except pytest.skip.Exception as missing:
                print(f"{label:28s}{missing}")


if __name__ == "__main__":
    main()
