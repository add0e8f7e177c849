"""Many live streams at once: ``python -m tests.benchmarks.load --streams 1000``.

Starts ``stream-classify serve`` and clients that send sound over ``/v1/stream`` as it would be recorded, in other
processes of this machine. Prints how long scores took, what got lost, and what a stream costs, and checks that each
stream was given the rows of one offline pass over the same sound, to the bit. Several numbers of streams give a curve;
``--picture FILE.svg`` draws it.

Two delays are shown. "row" is from the recording of the newest sample that a row of scores hears to the arrival of the
row at the client: what a microphone would see, with the wait for the rest of its chunk. "chunk" is from the recording
of a chunk's last sample to the arrival of its last row: what station and network add.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.bench.suite import bench_sound
from stream.classifier import StreamClassifier
from stream.inference.session import Model
from stream.server.socket.checksum import RowsChecksum
from tests.benchmarks.curves import draw
from tests.benchmarks.load_clients import Report, Task
from tests.support.command import COMMAND, DEADLINE_SECONDS, environment, running

SOUNDS = 16  # different ones; streams share them
RATE = 16_000
GOAL_SECONDS = 0.150


class Figures(msgspec.Struct):
    """One point of the curve.

    Attributes:
        streams: how many.
        row, chunk: percentiles of delays, seconds, at `PERCENTILES`.
        late: 99th percentile of how late chunks were sent, seconds.
        lost: rows that did not come, or came with other bits.
        wrong: streams that were not given what an offline pass gives.
        server_cpu, clients_cpu: cores, while sound was sent.
        memory: of the server, MB.
        failures: what went wrong, in words.
    """

    streams: int
    row: list[float]
    chunk: list[float]
    late: float
    lost: int
    wrong: int
    server_cpu: float
    clients_cpu: float
    memory: float
    failures: list[str]


PERCENTILES = (50, 90, 99, 99.9, 100)


def sounds_of(seconds: float) -> NDArray[np.int16]:
    """(SOUNDS, n) int16: the demo, begun at different places."""
    sound = bench_sound(RATE)
    whole = np.resize(np.round(np.clip(sound, -1, 1) * 32767), (round(seconds * RATE),))
    step = len(sound) // SOUNDS
    return np.stack([np.roll(whole, -i * step) for i in range(SOUNDS)]).astype(np.int16)


def offline(model: Model, sounds: NDArray[np.int16]) -> list[tuple[int, str]]:
    """Rows, and their checksum, of one pass over each sound."""
    answers = []
    for sound in sounds:
        classifier = StreamClassifier(model)
        checksum, rows = RowsChecksum(), 0
        for result in (classifier.push(sound.astype(np.float32) * np.float32(2.0**-15)), classifier.flush()):
            checksum.add(result.scores)
            rows += len(result.scores)
        answers.append((rows, checksum.text))
    return answers


@contextlib.contextmanager
def station(model: str, streams: int, words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its process id and its port."""
    command = [*COMMAND, "serve", "--port", "0", "--model", model, "--max-streams", str(streams), "--no-page"]
    command += ["--limit", f"connections={streams + 100}", *words]
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(command, stderr=log, env=environment())
        with running(child):
            until = time.monotonic() + 3 * DEADLINE_SECONDS  # with --ray it takes its time
            while time.monotonic() < until and child.poll() is None:
                log.seek(0)
                if found := re.search(r"http://127\.0\.0\.1:(\d+)/", log.read()):
                    yield child.pid, int(found[1])
                    return
                time.sleep(0.05)
            log.seek(0)
            raise SystemExit(f"the server did not start: {log.read()[-2000:]}")


def cpu_seconds(process: int) -> float:
    """User and system time of a process and of those that it started, and so on."""
    parents: dict[str, str] = {}
    ticks: dict[str, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            fields = path.read_text().rpartition(")")[2].split()
            parents[path.parent.name], ticks[path.parent.name] = fields[1], sum(map(int, fields[11:13]))
    family, size = {str(process)}, 0
    while size < len(family):
        size = len(family)
        family |= {child for child, parent in parents.items() if parent in family}
    return sum(ticks[each] for each in family if each in ticks) / os.sysconf("SC_CLK_TCK")


def megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else float("nan")


def measure(
    asked: argparse.Namespace, model: str, streams: int, sounds: Path, want: list[tuple[int, str]]
) -> Figures:
    """Serve so many streams at once."""
    with station(model, streams, asked.serve or []) as (process, port), contextlib.ExitStack() as stack:
        shares = np.array_split(np.arange(streams), asked.processes)
        children = []
        for share in shares:
            task = Task(
                "127.0.0.1",
                port,
                len(share),
                int(share[0]),
                streams,
                asked.seconds,
                asked.chunk,
                str(sounds),
                RATE,
            )
            child = subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.load_clients"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(),
            )
            stack.enter_context(running(child))
            assert child.stdin is not None
            child.stdin.write(msgspec.json.encode(task) + b"\n")
            child.stdin.flush()
            children.append(child)
        for child in children:
            assert child.stdout is not None
            if child.stdout.readline() != b"connected\n":
                raise SystemExit("clients could not connect")
        begin = time.monotonic() + 0.5
        before = cpu_seconds(process)
        for child in children:
            assert child.stdin is not None
            child.stdin.write(f"{begin}\n".encode())
            child.stdin.flush()
        reports = []
        for child in children:
            assert child.stdout is not None
            reports.append(msgspec.json.decode(child.stdout.readline(), type=Report))
        took = asked.seconds
        server_cpu = (cpu_seconds(process) - before) / took
        return figures(streams, reports, want, server_cpu, took, megabytes(process))


def figures(
    streams: int,
    reports: list[Report],
    want: list[tuple[int, str]],
    server_cpu: float,
    took: float,
    memory: float,
) -> Figures:
    lost = wrong = 0
    failures = sorted({failure for report in reports for failure in report.failures})
    for end in (end for report in reports for end in report.ends):
        if end is None:
            wrong += 1
            continue
        number, came, made, left_out, checksum = end
        rows, digest = want[number % len(want)]
        lost += rows - came
        if (made, checksum) != (rows, digest) or left_out:
            wrong += 1

    def spread(values: list[list[float]]) -> list[float]:
        together = np.concatenate([np.asarray(each) for each in values])
        return (
            [float(x) for x in np.percentile(together, PERCENTILES)] if len(together) else [float("nan")] * 5
        )

    return Figures(
        streams,
        spread([report.row_delays for report in reports]),
        spread([report.chunk_delays for report in reports]),
        spread([report.late for report in reports])[2],
        lost,
        wrong,
        server_cpu,
        sum(report.cpu_seconds for report in reports) / took,
        memory,
        failures,
    )


HEAD = (
    "streams    row p50  p90   p99 p99.9   max     chunk p50  p99   sent late   lost wrong   server clients"
    "  µs/message     MB"
)


def line(found: Figures, chunk: float) -> str:
    row, delay = (np.array(each) * 1e3 for each in (found.row, found.chunk))
    each = 1e6 * chunk / found.streams
    return (
        f"{found.streams:7d}   {row[0]:8.0f} {row[1]:4.0f} {row[2]:5.0f} {row[3]:5.0f} {row[4]:5.0f} ms"
        f"  {delay[0]:6.1f} {delay[2]:4.0f} ms  {1e3 * found.late:6.1f} ms {found.lost:6d} {found.wrong:5d}"
        f"   {found.server_cpu:6.2f} {found.clients_cpu:7.2f}"
        f"   {found.server_cpu * each:5.0f} +{found.clients_cpu * each:3.0f} {found.memory:7.0f}"
    )


def draw_curves(found: dict[str, list[Figures]], chunk: float, path: Path) -> None:
    """p99 of both delays against the number of streams, for each model."""

    def paint(plot: Any) -> None:
        for (model, points), color in zip(
            found.items(), ("tab:blue", "tab:orange", "tab:green"), strict=False
        ):
            streams = [point.streams for point in points]
            rows = [1e3 * point.row[2] for point in points]
            plot.plot(streams, rows, "o-", color=color, label=f"{model}: sound to scores")
            chunks = [1e3 * point.chunk[2] for point in points]
            plot.plot(streams, chunks, "o:", color=color, label=f"{model}: message to scores")
        plot.axhline(1e3 * GOAL_SECONDS, color="gray", linestyle="--", linewidth=1)
        plot.set_yscale("log")

    title = f"Live streams of one server, a message each {1e3 * chunk:.0f} ms"
    draw(path, title, ("streams", "99th percentile, ms"), paint)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="many live streams at once")
    parser.add_argument("--streams", type=int, nargs="+", default=[1000], metavar="N")
    parser.add_argument("--seconds", type=float, default=60.0, help="of sound that each sends (default 60)")
    parser.add_argument(
        "--chunk", type=float, default=0.1, metavar="S", help="seconds of a message (default 0.1)"
    )
    parser.add_argument("--model", action="append", help="bundled; repeatable (default default)")
    parser.add_argument("--processes", type=int, default=1, help="of clients (default 1)")
    parser.add_argument(
        "--record", type=Path, metavar="FILE.json", help="add the figures to those of this file"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE.svg", help="draw all of them, or those of this run"
    )
    parser.add_argument("--serve", action="append", metavar="WORD", help="for the command serve; repeatable")
    asked = parser.parse_args(arguments)
    found: dict[str, list[Figures]] = {}
    if asked.record and asked.record.exists():
        found = msgspec.json.decode(asked.record.read_bytes(), type=dict[str, list[Figures]])
    for name in asked.model or ([] if found and asked.picture else ["default"]):
        measured = run(asked, name)
        numbers = [point.streams for point in measured]
        kept = [point for point in found.get(name, []) if point.streams not in numbers]
        found[name] = sorted([*kept, *measured], key=lambda point: point.streams)
    if asked.record:
        asked.record.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    if asked.picture:
        draw_curves(found, asked.chunk, asked.picture)


def run(asked: argparse.Namespace, name: str) -> list[Figures]:
    """All numbers of streams, of one model."""
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        sounds = Path(folder) / "sounds.npy"
        np.save(sounds, sounds_of(asked.seconds))
        want = offline(Model.bundled(name), np.load(sounds))
        print(f"{name}\n{HEAD}", flush=True)
        for streams in asked.streams:
            measured.append(measure(asked, name, streams, sounds, want))
            print(line(measured[-1], asked.chunk), flush=True)
            for failure in measured[-1].failures[:5]:
                print(f"          {failure}", flush=True)
    return measured


if __name__ == "__main__":
    main()
