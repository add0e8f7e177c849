"""Speed of this checkout against another: ``python -m tests.benchmarks.checkouts ../as-it-was``.

A process of each takes turns of a fraction of a second, so that both suffer alike from what else the machine does. It
prints medians, and the median over rounds of the ratio of ours to theirs: 1.10 means a tenth slower. The other checkout
needs nothing but its packages. Both must have the compiled feature kernel, or neither.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
TURN_SECONDS = 0.2
ANSWER_SECONDS = 120.0  # after which a worker is taken to hang
WHOLE_SECONDS = 60.0  # of sound in a whole file
SLAB_STREAMS = 256
SHORT_BLOCKS = {"SOXR_MIN_DFT_SIZE": "8", "SOXR_LARGE_DFT_SIZE": "8"}  # as the command line sets them
FIRST_PROBABILITY = """
import numpy as np
from stream.inference.session import Model
from stream.classifier import StreamClassifier
assert len(StreamClassifier(Model.bundled(provider="cpu")).push(np.zeros(16000, np.float32)).scores)
"""
HELP = "from stream.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"


def cases() -> dict[str, Callable[[], object]]:
    """By names that old and new code share."""
    from stream import StreamClassifier
    from stream.bench.cases import in_hops
    from stream.bench.graphs import gru_model
    from stream.bench.suite import bench_sound
    from stream.inference.session import Model
    from stream.inference.slab import Slab

    models = {name: Model.bundled(name, provider="cpu") for name in ("default", "small")}
    models["gru-64"] = Model(gru_model(64), provider="cpu")
    found: dict[str, Callable[[], object]] = {}
    for name, model in models.items():
        spec = model.card.features
        sound = bench_sound(spec.sample_rate)
        hops = in_hops(sound, spec.hop_length)
        found[f"live hop, {name}"] = each(StreamClassifier(model).push, hops)
        whole = np.resize(sound, round(WHOLE_SECONDS * spec.sample_rate))
        found[f"whole minute, {name}"] = each(
            lambda sound, model=model: StreamClassifier(model).push(sound), [whole]
        )
    rng = np.random.default_rng(0)  # of the last model: a slab once served only such ones
    rows = [np.stack([hops[i] for i in rng.integers(0, len(hops), SLAB_STREAMS)]) for _ in range(16)]
    found[f"slab of {SLAB_STREAMS}, {name}"] = each(Slab(model, SLAB_STREAMS).push, rows)
    return found


def each(work: Callable[[Any], object], pieces: Sequence[Any]) -> Callable[[], object]:
    turn = cycle(pieces)
    return lambda: work(next(turn))


def serve() -> None:
    """A worker: says its cases, then for each name it reads takes a turn and says the median in microseconds."""
    known = cases()
    print("\t".join(known), flush=True)
    gc.disable()
    clock = time.perf_counter
    for line in sys.stdin:
        call, took = known[line.rstrip("\n")], []
        end = clock() + TURN_SECONDS
        while not took or clock() < end:
            begin = clock()
            call()
            took.append(clock() - begin)
        gc.collect()
        print(1e6 * statistics.median(took), flush=True)


class Worker:
    """``serve`` in a process that imports a checkout's packages."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.child = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--serve"],
            cwd=checkout,
            env=environment(checkout),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.names = self._answer().split("\t")

    def turn(self, name: str) -> float:
        assert self.child.stdin is not None
        print(name, file=self.child.stdin, flush=True)
        return float(self._answer())

    def _answer(self) -> str:
        assert self.child.stdout is not None
        line = self.child.stdout.readline().rstrip("\n")
        if not line:
            raise SystemExit(f"{self.checkout}: its process ended with {self.child.wait(ANSWER_SECONDS)}")
        return line


def environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, **SHORT_BLOCKS, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}


def process_seconds(checkout: Path, code: str) -> float:
    begin = time.perf_counter()
    command = [sys.executable, "-c", code]
    subprocess.run(
        command, cwd=checkout, env=environment(checkout), check=True, stdout=-3, timeout=ANSWER_SECONDS
    )
    return time.perf_counter() - begin


def compare(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int
) -> tuple[float, float, float]:
    """Medians of both, and of the ratios; who goes first alternates."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            pairs.append((ours(), theirs()))
        else:
            second, first = theirs(), ours()
            pairs.append((first, second))
    a, b = zip(*pairs, strict=True)
    return statistics.median(a), statistics.median(b), statistics.median(x / y for x, y in pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="speed of this checkout against another")
    parser.add_argument("other", type=Path, nargs="?", help="root of the other checkout")
    parser.add_argument("--rounds", type=int, default=15, help="turns that each case gets (default 15)")
    parser.add_argument(
        "--idle", type=float, default=0.0, metavar="S", help="also watch live runs of so many seconds"
    )
    parser.add_argument("--only", default="", help="part of a case's name, such as hop")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.serve:
        return serve()
    if asked.other is None:
        parser.error("the root of the other checkout is missing")
    from tests.support.command import running  # not for --serve, which runs beside any checkout's tests

    other = asked.other.resolve()
    print(f"{'':26s}{'ours':>13s}{'theirs':>13s}{'ratio':>8s}")
    with ExitStack() as stack:
        ours, theirs = (Worker(root) for root in (ROOT, other))
        for worker in (ours, theirs):
            stack.enter_context(running(worker.child))
        for name in ours.names:
            if asked.only in name:
                row(
                    name,
                    "µs",
                    compare(lambda n=name: ours.turn(n), lambda n=name: theirs.turn(n), asked.rounds),
                )  # type: ignore[misc]
    for name, code in (("first probability", FIRST_PROBABILITY), ("--help", HELP)):
        if asked.only in name:
            timed = [lambda root=root, code=code: process_seconds(root, code) for root in (ROOT, other)]
            for time_one in timed:
                time_one()  # writes the byte code
            row(name, "s", compare(*timed, asked.rounds))
    if asked.idle:
        from tests.benchmarks.idle import run_for

        words = ["--input", "sim:noise?loop=forever"]
        shares = [
            lambda root=root: 100 * run_for(words, asked.idle, environment(root), root)[0]
            for root in (ROOT, other)
        ]
        row("live run with dashboard", "%", compare(*shares, 3))
    return None


def row(name: str, unit: str, figures: tuple[float, float, float]) -> None:
    ours, theirs, ratio = figures
    print(f"{name:26s}{ours:10.4g} {unit:2s}{theirs:10.4g} {unit:2s}{ratio:8.2f}")


if __name__ == "__main__":
    main()
