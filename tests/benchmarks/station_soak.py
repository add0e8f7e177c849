"""Hours of a station whose sources fail at random: ``python -m tests.benchmarks.station_soak``.

Scripted microphones play as fast as they are consumed. Each loses sound, gives invalid samples and flat lines where its
script says so; besides, runs fail to start, are ended by an error in the middle, are changed and removed while they
run, and begin again. Every run is then compared, to the bit, with a classifier of its own that hears the same chunks.
A reader of the hub counts events, one history file takes all of them, and memory, file descriptors and threads are
looked at ten times on the way.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import queue
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from stream.assembly import make_classifier
from stream.inference.session import Model
from stream.messages import Chunk, Result, Status
from stream.outputs.schema import EventRecord
from stream.server.station import SourceSpec, Station
from stream.soak.monitor import resident_bytes
from tests.support.command import ROOT
from tests.support.stations import Watch, hasty, spec

LOOKS = 10
BLOCK_SAMPLES = 4000  # a quarter of a second: what is tested is the station, not the size of chunks
FAILS_TO_START, FAILS_LATER, IS_CHANGED = 0.1, 0.25, 0.1  # shares of runs


@dataclass(frozen=True)
class Run:
    """One run that is over."""

    spec: SourceSpec
    chunks: int
    seconds: float
    events: int
    digest: str


@dataclass(frozen=True)
class Look:
    """How the process is, after so much sound."""

    hours: float
    resident_mib: float
    descriptors: int
    threads: int


@dataclass
class Figures:
    """What it came to."""

    looks: list[Look] = field(default_factory=list)
    hours: float = 0.0
    runs: int = 0
    failed_starts: int = 0
    failed_runs: int = 0
    changes: int = 0
    unequal: list[str] = field(default_factory=list)
    events: int = 0
    hub_events: int = 0
    history_events: int = 0
    history_runs: int = 0
    wall_seconds: float = 0.0

    @property
    def growth_mib(self) -> float:
        """Of memory, from the first look after a fifth of the sound to the last."""
        return self.looks[-1].resident_mib - self.looks[LOOKS // 5].resident_mib


class _Fingers:
    """A sink that takes the fingerprint of one run, and ends it by an error where that is its lot."""

    def __init__(self, asked: SourceSpec, fails_after: int | None, done: Callable[[Run], None]) -> None:
        self._spec, self._fails_after, self._done = asked, fails_after, done
        self._hash = hashlib.blake2b(digest_size=16)
        self._chunks = self._events = 0
        self._seconds = 0.0

    def chunk(self, chunk: Chunk) -> None:
        if self._chunks == self._fails_after:
            raise OSError("the device broke, says the script")
        self._chunks += 1
        self._seconds = (chunk.end + chunk.missing) / chunk.sample_rate

    def result(self, result: Result) -> None:
        take(self._hash, result)
        self._events += sum(event.offset is not None for event in result.events)

    def status(self, status: Status) -> None:
        pass

    def close(self) -> None:
        self._done(Run(self._spec, self._chunks, self._seconds, self._events, self._hash.hexdigest()))


def take(fingerprint: Any, result: Result) -> None:
    """Add a result to a fingerprint."""
    for array in (result.scores.probs, result.scores.sample, result.scores.warm):
        fingerprint.update(np.ascontiguousarray(array).tobytes())
    fingerprint.update(repr((result.events, result.gaps, result.end)).encode())


def offline(run: Run, model: Model) -> str:
    """The fingerprint that this run should have."""
    alone = make_classifier(model, run.spec)
    fingerprint = hashlib.blake2b(digest_size=16)
    with run.spec.open() as source:
        for chunk in islice(source, run.chunks):
            take(fingerprint, alone.push(chunk))
    take(fingerprint, alone.flush())
    return fingerprint.hexdigest()


def scripts(rng: Any, longest_seconds: float) -> Iterator[str]:
    """Scripted microphones, each another one."""
    while True:
        seconds = round(float(rng.uniform(0.2, 1.0)) * longest_seconds)
        material = str(rng.choice(["noise", "tone", str(ROOT / "assets/demo.ogg")]))
        items = [f"seed={int(rng.integers(2**31))}"]
        if material in ("noise", "tone"):
            items += [f"length={seconds}s", f"level=-{int(rng.integers(3, 50))}dB"]
        else:
            items += [f"loop={max(1, seconds // 60)}"]
            seconds = 60 * max(1, seconds // 60)
        at = 0.0
        while (at := at + float(rng.exponential(30.0)) + 1.0) < 0.8 * seconds:
            kind = str(rng.choice(["unplug", "xrun", "zeros", "flat", "nan", "clip"]))
            items.append(f"{kind}@{at:.3f}s")
            length = f"{float(rng.exponential(0.6)) + 0.001:.3f}s"
            items.append(f"n={int(rng.integers(1, 20_000))}" if kind == "xrun" else f"for={length}")
            at += 8.0  # beyond the end of almost every one of them
        yield f"sim:{material}?" + "&".join(items)


class StationSoak:
    """Drives a station through its hours.

    Args:
        model: that all sources run.
        hours: of sound of each source.
        sources: at a time.
        seed: of all that is random.
        folder: for the history.
    """

    def __init__(self, model: Model, hours: float, sources: int, seed: int, folder: Path) -> None:
        self._model, self._hours, self._count = model, hours, sources
        self._rng: Any = np.random.default_rng(seed)
        self._lots: Any = np.random.default_rng(seed + 1)  # of runs: drawn in the sources' threads
        self._drawing = threading.Lock()
        self._longest = max(20.0, hours * 3600 / 12)
        self._scripts = scripts(self._rng, self._longest)
        self._history = folder / "history.db"
        self._done: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._names = 0
        self.figures = Figures()

    def run(self, tell: Callable[[Look], None] = lambda look: None) -> Figures:
        """All of it; ``tell`` is called after each tenth."""
        found, begin = self.figures, time.monotonic()
        station = Station(
            [self._new() for _ in range(self._count)],
            load=lambda name, provider: self._model,
            deadline=0.0,
            beside=self._beside,
            patience=hasty,
        )
        watch = Watch(station.hub, counts_only=True, kinds=["event"], event_room=10**6)
        total = self._hours * self._count
        station.start()
        try:
            while found.hours < total:
                self._take_done()
                self._go_on(station)
                while found.hours >= total * (len(found.looks) + 1) / LOOKS and len(found.looks) < LOOKS:
                    tell(self._look())
                time.sleep(0.005)
        finally:
            station.close()
        self._take_done()
        watch.joined()
        found.hub_events = watch.counts[EventRecord]
        with closing(sqlite3.connect(self._history)) as file:
            (found.history_events,) = file.execute(
                "SELECT count(*) FROM events WHERE offset IS NOT NULL"
            ).fetchone()
            (found.history_runs,) = file.execute("SELECT count(*) FROM runs").fetchone()
        found.wall_seconds = time.monotonic() - begin
        return found

    def _new(self, name: str = "") -> SourceSpec:
        self._names += 1
        return spec(
            name or f"microphone {self._names}",
            next(self._scripts),
            fast=True,
            block_samples=BLOCK_SAMPLES,
            history=str(self._history),
        )

    def _beside(self, asked: SourceSpec) -> list[_Fingers]:
        with self._drawing:
            lot = float(self._lots.random())
            most = self._longest * 16000 / BLOCK_SAMPLES
            after = int(self._lots.integers(1, max(2, round(most / 2))))
        if lot < FAILS_TO_START:
            self.figures.failed_starts += 1
            raise OSError("the device is busy, says the script")
        fails = lot < FAILS_TO_START + FAILS_LATER
        return [_Fingers(asked, after if fails else None, self._done.put)]

    def _go_on(self, station: Station) -> None:
        """Give every source that has ended something new, and sometimes one that has not."""
        for glance in station.glance():
            if glance.state == "ended":
                if self._rng.random() < 0.5:
                    station.change_source(glance.name, self._new(glance.name))
                else:
                    station.remove_source(glance.name)
                    station.add_source(self._new())
            elif glance.state == "listening" and self._rng.random() < IS_CHANGED * 1e-3:
                self.figures.changes += 1
                station.change_source(glance.name, self._new())

    def _take_done(self) -> None:
        found = self.figures
        while not self._done.empty():
            run = self._done.get_nowait()
            found.runs += 1
            found.hours += run.seconds / 3600
            found.events += run.events
            if offline(run, self._model) != run.digest:
                found.unequal.append(f"{run.spec.name}: {run.spec.input}, {run.chunks} chunks")

    def _look(self) -> Look:
        descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        resident = (resident_bytes() or 0) / 2**20
        look = Look(self.figures.hours, resident, descriptors, threading.active_count())
        self.figures.looks.append(look)
        return look


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=8.0, help="of sound of each source (%(default)g)")
    parser.add_argument("--sources", type=int, default=16, help="at a time (%(default)d)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="default", choices=["default", "small"])
    asked = parser.parse_args()
    print(f"{asked.sources} sources, {asked.hours:g} h of each, model {asked.model}, seed {asked.seed}")
    print(f"{'hours':>8} {'MiB':>8} {'files':>6} {'threads':>8}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        soak = StationSoak(Model.bundled(asked.model), asked.hours, asked.sources, asked.seed, Path(folder))
        found = soak.run(
            lambda look: print(
                f"{look.hours:8.2f} {look.resident_mib:8.1f} {look.descriptors:6d} {look.threads:8d}",
                flush=True,
            )
        )
    print(
        f"{found.runs} runs, {found.failed_starts} failed to start, {found.changes} changed while they ran; "
        f"{len(found.unequal)} unequal to offline; memory {found.growth_mib:+.1f} MiB since the third look\n"
        f"events: {found.events} heard, {found.hub_events} of the hub, {found.history_events} in the history, "
        f"which has {found.history_runs} runs; {found.wall_seconds:.0f} s in all"
    )
    for each in found.unequal:
        print(each)


if __name__ == "__main__":
    main()
