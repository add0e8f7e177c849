"""Stations for tests: a small model, short pauses, and somebody who writes down all that the hub says."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from stream.assembly import make_classifier
from stream.capture.live.supervisor import Backoff
from stream.cli.vocabulary import source_vocabulary
from stream.inference.session import Model
from stream.messages import Chunk, Result, Status
from stream.recording import merge
from stream.server.hub import Hub
from stream.server.hub_message import KINDS, HubMessage
from stream.server.station import SourceSpec, Station
from stream.server.station.station_file import StationReader
from tests.support.command import DEADLINE_SECONDS, wait_for
from tests.support.toy_models import toy_bytes


@cache
def toy_model() -> Model:
    return Model(toy_bytes())


def load_toy(name: str, provider: str) -> Model:
    """Every name is the small model's."""
    return toy_model()


def hasty() -> Backoff:
    """Short pauses between starts."""
    return Backoff(0.02, 0.1)


@cache
def reader() -> StationReader:
    return StationReader(source_vocabulary())


def spec(name: str, source: str, **table: Any) -> SourceSpec:
    """A source as a settings file has it."""
    return reader().read_source({"name": name, "input": source, **table})


class Heard:
    """Keeps every result of every run, by source: a sink for each.

    Attributes:
        runs: by name of the source.
        breaks: sources whose run an error ends at the next chunk, once.
    """

    def __init__(self) -> None:
        self.runs: dict[str, list[list[Result]]] = {}
        self.breaks: set[str] = set()

    def beside(self, spec: SourceSpec) -> list[Any]:
        results: list[Result] = []
        self.runs.setdefault(spec.name, []).append(results)
        return [_Keeper(spec.name, results, self.breaks)]


class _Keeper:
    def __init__(self, name: str, results: list[Result], breaks: set[str]) -> None:
        self._name, self._results, self._breaks = name, results, breaks

    def chunk(self, chunk: Chunk) -> None:
        if self._name in self._breaks:
            self._breaks.discard(self._name)
            raise OSError("broken on purpose")

    def result(self, result: Result) -> None:
        self._results.append(result)

    def status(self, status: Status) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def station(specs: Iterable[SourceSpec] = (), **options: Any) -> Iterator[tuple[Station, Heard]]:
    """A station of the small model, started; and what it hears."""
    heard = Heard()
    given = {"load": load_toy, "patience": hasty, "deadline": 0.002, "beside": heard.beside} | options
    made = Station(specs, **given)
    try:
        made.start()
        yield made, heard
    finally:
        made.close()


def state(station: Station, name: str) -> str:
    return station.source(name).glance().state


def wait_for_state(station: Station, name: str, *wanted: str) -> None:
    wait_for(lambda: state(station, name) in wanted, f"{name} to be {' or '.join(wanted)}")


def assert_as_offline(results: list[Result], spec: SourceSpec) -> None:
    """A whole run equals what a classifier of its own makes of the same sound, to the bit."""
    alone = make_classifier(toy_model(), spec)
    with spec.open() as source:
        want = merge([*map(alone.push, source), alone.flush()], alone)
    got = merge(results, alone)
    np.testing.assert_array_equal(got.scores.probs, want.scores.probs)
    np.testing.assert_array_equal(got.scores.sample, want.scores.sample)
    assert got.events == want.events
    assert got.gaps == want.gaps


class Watch:
    """Somebody who watches a hub, in a loop of its own, and keeps the messages, or only counts their types."""

    def __init__(self, hub: Hub, *, counts_only: bool = False, **options: Any) -> None:
        self.messages: list[HubMessage] = []
        self.counts: Counter[type] = Counter()
        self._counts_only = counts_only
        self.reason = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch(hub, options)), daemon=True)
        self._thread.start()
        assert self._ready.wait(DEADLINE_SECONDS)

    def joined(self) -> None:
        """Until the hub ends it."""
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive(), "the watcher did not end"

    def of(self, kind: str, source: str) -> list[Any]:
        return [each.record for each in self.messages if (each.kind, each.source) == (kind, source)]

    def states(self, source: str) -> list[str]:
        return [record.state for record in self.of("status", source) if hasattr(record, "restarts")]

    async def _watch(self, hub: Hub, options: dict[str, Any]) -> None:
        watcher = hub.watch(asyncio.get_running_loop(), **{"kinds": KINDS, "room": 100_000} | options)
        self._ready.set()
        async for message in watcher:
            self.counts[type(message.record)] += 1
            if not self._counts_only:
                self.messages.append(message)
        self.reason = watcher.reason
