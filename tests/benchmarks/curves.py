"""Cost against the number of streams and against hidden size, drawn: ``python -m tests.benchmarks.curves``.

Writes assets/bench-streams.svg and assets/bench-hidden.svg and prints each point with the line fitted to all of them.
Models are GRUs with random weights on the default features.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.bench.cases import in_hops, slab_cases
from stream.bench.graphs import LABELS, gru_model
from stream.bench.machine import machine
from stream.bench.suite import bench_sound
from stream.bench.timing import Case, measure
from stream.features.spec import MfccSpec
from stream.inference.engine import SlabEngine
from stream.inference.session import Model

ASSETS = Path(__file__).resolve().parents[2] / "assets"
HIDDEN = 64
STREAMS = [2**power for power in range(11)]
SIZES = [16, 32, 64, 96, 128, 192, 256, 384, 512]
TOGETHER = [1, 64]  # streams a step, for the curve against hidden size
SPEC = MfccSpec()


@dataclass(frozen=True)
class Line:
    """cost = fixed + slope * amount, fitted so that relative errors are small.

    Attributes:
        amount, cost: (n,) the points; cost in microseconds.
        fitted: (n,) bool, the points that the line is for.
        fixed, slope: microseconds, and microseconds a unit of amount.
    """

    amount: NDArray[np.float64]
    cost: NDArray[np.float64]
    fitted: NDArray[np.bool_]
    fixed: float
    slope: float

    @classmethod
    def fit(
        cls, amount: Sequence[float], cost: Sequence[float], fitted: Sequence[bool] | None = None
    ) -> Line:
        x, y = np.asarray(amount, np.float64), np.asarray(cost, np.float64)
        use = np.ones(len(x), np.bool_) if fitted is None else np.asarray(fitted)
        terms = np.stack([1 / y, x / y], axis=1)[use]  # each point's error in parts of its cost
        (fixed, slope), *_ = np.linalg.lstsq(terms, np.ones(len(terms)), rcond=None)
        return cls(x, y, use, float(fixed), float(slope))

    def at(self, amount: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.fixed + self.slope * amount

    def words(self, amount: str) -> str:
        """The line, and how far its points are from it."""
        off = np.abs(self.cost / self.at(self.amount) - 1)
        line = f"{self.fixed:.2f} µs + {self.slope:.3g} µs * {amount}"
        text = f"{line}, no point further off than {off[self.fitted].max():.0%}"
        return (
            text if self.fitted.all() else f"{text}; with larger weights up to {off[~self.fitted].max():.0%}"
        )


def multiply_adds(hidden: int) -> int:
    """Of one step of the GRU and its head."""
    return 3 * hidden * (SPEC.width + hidden) + hidden * len(LABELS)


def time_streams(rounds: int) -> Line:
    """Microseconds of one push of a slab, all its streams, against their number.

    One slab after another: side by side they would fight for the cache, which a slab has to itself where it is used.
    """
    model = Model(gru_model(HIDDEN, SPEC), provider="cpu")
    hops = in_hops(bench_sound(SPEC.sample_rate), SPEC.hop_length)
    costs = []
    for count in STREAMS:
        (timing,) = measure(slab_cases(model, hops, [count]), rounds).values()
        costs.append(timing.median * count)
    return Line.fit(STREAMS, costs)


def time_sizes(rounds: int) -> dict[int, Line]:
    """Microseconds of one stream's step against its multiply-adds, by the number of streams that step together.

    The line is fitted where the weights take up to half of the processor's own cache; beyond it a step waits for
    memory.
    """
    cases = []
    for hidden in SIZES:
        model = Model(gru_model(hidden, SPEC), provider="cpu")
        for count in TOGETHER:
            step = SlabEngine(model, count).advance
            cases.append(Case(f"{hidden} {count}", "", step, count * 0.01, count))
    timings = measure(cases, rounds)
    amount = [multiply_adds(hidden) for hidden in SIZES]
    fits = [4 * weights <= cache_bytes() / 2 for weights in amount]
    return {
        count: Line.fit(amount, [timings[f"{hidden} {count}"].median for hidden in SIZES], fits)
        for count in TOGETHER
    }


def cache_bytes() -> float:
    """The second-level cache, where the system says how large it is."""
    size = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
    return 1024 * float(size.read_text().strip().removesuffix("K")) if size.is_file() else math.inf


def draw(path: Path, title: str, axes: tuple[str, str], paint: Callable[[Any], None]) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "stream-classify"  # the same picture gives the same file
    from matplotlib import pyplot

    figure, plot = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    paint(plot)
    plot.set(title=title, xlabel=axes[0], ylabel=axes[1])
    plot.grid(alpha=0.3, which="both")
    plot.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    print(f"wrote {path}")


def draw_streams(line: Line, path: Path, where: str) -> None:
    def paint(plot: Any) -> None:
        plot.plot(line.amount, line.cost / line.amount, "o", color="tab:blue", label="measured")
        smooth = np.geomspace(line.amount[0], line.amount[-1], 200)
        label = f"{line.slope:.2f} µs + {line.fixed:.1f} µs / N"
        plot.plot(smooth, line.at(smooth) / smooth, color="tab:blue", alpha=0.5, label=label)
        plot.set_xscale("log", base=2)
        plot.set_ylim(bottom=0)

    title = f"One hop of 10 ms of one stream, in a slab of N (GRU of {HIDDEN})\n{where}"
    draw(path, title, ("N, streams in the slab", "µs per stream-hop"), paint)


def draw_sizes(lines: dict[int, Line], path: Path, where: str) -> None:
    def paint(plot: Any) -> None:
        for (count, line), color in zip(lines.items(), ("tab:blue", "tab:orange"), strict=True):
            name = "one stream" if count == 1 else f"each of {count} streams"
            plot.plot(line.amount / 1e3, line.cost, "o", color=color, label=name)
            smooth = np.linspace(0, line.amount[-1], 200)
            label = f"{line.fixed:.1f} µs + {1000 * line.slope:.3f} µs a thousand"
            plot.plot(smooth / 1e3, line.at(smooth), color=color, alpha=0.5, label=label)
        if math.isfinite(cache_bytes()):
            plot.axvline(cache_bytes() / 4e3, color="gray", linestyle=":", label="weights fill the L2 cache")
        plot.set_ylim(bottom=0)
        top = plot.secondary_xaxis("top")
        shown = [hidden for hidden in SIZES if hidden >= 128]
        top.set_xticks([multiply_adds(hidden) / 1e3 for hidden in shown], [str(hidden) for hidden in shown])
        top.set_xlabel("units")

    draw(path, f"One step of a GRU; {where}", ("thousand multiply-adds a step", "µs a stream"), paint)


def main() -> None:
    parser = argparse.ArgumentParser(description="cost against streams and against hidden size")
    parser.add_argument("--rounds", type=int, default=200, help="turns that every point gets (default 200)")
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder for the pictures (default assets)")
    asked = parser.parse_args()
    about = machine(SPEC)
    where = f"one thread of {about['cpu']}"
    streams = time_streams(asked.rounds)
    for count, cost in zip(STREAMS, streams.cost, strict=True):
        print(f"{count:6d} streams {cost:10.1f} µs per push {cost / count:8.2f} µs per stream-hop")
    print("one push:", streams.words("N"))
    sizes = time_sizes(asked.rounds)
    for at, hidden in enumerate(SIZES):
        costs = ", ".join(f"{line.cost[at]:.2f} µs with {count} streams" for count, line in sizes.items())
        print(f"{hidden:6d} units {multiply_adds(hidden):8d} multiply-adds a step: {costs}")
    for count, line in sizes.items():
        print(f"a stream's step, {count} together:", line.words("multiply-adds"))
    draw_streams(streams, asked.out / "bench-streams.svg", where)
    draw_sizes(sizes, asked.out / "bench-hidden.svg", where)


if __name__ == "__main__":
    main()
