"""Station: many sources at once, each by itself, and what all of them share."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Protocol

import msgspec

from stream.assembly import make_rules
from stream.capture.live.supervisor import Backoff
from stream.errors import UsageError
from stream.inference.session import Model
from stream.outputs.catalogue import all_outputs
from stream.outputs.sink import Sink
from stream.server.hub import Hub
from stream.server.pool import Pool
from stream.server.station.claims import SHARED, check_claims
from stream.server.station.source_glance import SourceGlance
from stream.server.station.source_run import STOP_SECONDS, SourceRun, nothing_beside, patient
from stream.server.station.source_spec import SourceSpec
from stream.settings.document import unknown

log = logging.getLogger(__name__)

MAX_SOURCES = 1000


class SpecReader(Protocol):
    """Reads what sources are wanted; `stream.server.station.settings` has it."""

    def read_sources(self, path: str) -> Sequence[SourceSpec]:
        """Those of a settings file."""
        ...


class Reloaded(msgspec.Struct, frozen=True):
    """What another reading of the settings changed, by names of sources."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


class Station:
    """Listens to any number of sources, each in a thread of its own, all of one model in one `Pool`.

    Whatever happens to one source, the others do not notice. Sources are added, changed and removed while it runs.

    Args:
        specs: sources to begin with.
        load: gives the model of a name and a provider; raises `ModelError`.
        model: name of the model for streams that come from outside.
        provider: where that runs.
        max_streams: of one model at a time, those from outside too.
        deadline: of a `Pool`, seconds.
        beside: makes sinks for each run of a source, beside its outputs.
        patience: makes the pauses between starts of a source that fails.

    Attributes:
        hub: what all sources say.
        model_name: of the model for streams from outside.

    Raises:
        UsageError, SpecError: sources that contradict each other, or rules that do not fit the model.
        ModelError: a model cannot be used.
    """

    def __init__(
        self,
        specs: Iterable[SourceSpec] = (),
        *,
        load: Callable[[str, str], Model],
        model: str = "default",
        provider: str = "auto",
        max_streams: int = 1000,
        deadline: float = 0.010,
        beside: Callable[[SourceSpec], Sequence[Sink]] = nothing_beside,
        patience: Callable[[], Backoff] = patient,
    ) -> None:
        self.hub = Hub()
        self.model_name = model
        self._provider = provider
        self._load, self._beside, self._patience = load, beside, patience
        self._max_streams, self._deadline = max_streams, deadline
        self._changing = threading.RLock()
        self._pools: dict[tuple[str, str], Pool] = {}  # model and provider, as they were named
        self._sources: Mapping[str, SourceRun] = {}  # replaced whole, so that readers need no lock
        self._served = {(model, provider)}  # kept, whether or not a source uses them
        self._from_file: frozenset[str] = frozenset()
        self._started = self._closed = False
        self.started_at = time.time()
        specs = tuple(specs)
        try:
            self.pool()
            self._check(specs)
            self._sources = {spec.name: self._make(spec) for spec in specs}
        except BaseException:
            self._close_pools()
            raise
        self._from_file = frozenset(self._sources)

    @property
    def sources(self) -> Mapping[str, SourceRun]:
        """By name, in the order in which they were added. It does not change; ask again for what is so then."""
        return self._sources

    @property
    def pools(self) -> Mapping[str, Pool]:
        """By name of the model, a file's without folder and suffix; that for streams from outside comes first."""
        found: dict[str, Pool] = {}
        for (name, _), pool in list(self._pools.items()):
            found.setdefault(PurePath(name).stem if PurePath(name).suffix else name, pool)
        return found

    def serve_model(self, model: str) -> None:
        """Have one more model for streams from outside, whether or not a source uses it.

        Raises:
            ModelError: it cannot be used.
        """
        with self._changing:
            self.pool(model)
            self._served.add((model, self._provider))

    @property
    def history(self) -> str | None:
        """The history file that the first source with one writes; None where there is none."""
        for run in self._sources.values():
            for asked in all_outputs(run.spec.outputs, run.spec.output_tables):
                if asked.kind == SHARED:
                    return str(asked.target)
        return None

    def pool(self, model: str | None = None, provider: str | None = None) -> Pool:
        """The pool of a model, made when it is first asked for.

        Args:
            model: by name; None = that for streams from outside.
            provider: where it runs; None = as for those.

        Raises:
            ModelError: the model cannot be used.
        """
        key = self.model_name if model is None else model, provider or self._provider
        with self._changing:
            if key not in self._pools:
                pool = Pool(self._load(*key), max_streams=self._max_streams, deadline=self._deadline)
                pool.start()
                self._pools[key] = pool
            return self._pools[key]

    def start(self) -> None:
        """Start every source. Nothing is waited for."""
        with self._changing:
            self._started = True
            for run in self._sources.values():
                run.start()

    def drain(self, reason: str = "the station stops") -> None:
        """End every source and every watcher; streams from outside go on.

        Takes a few seconds at most: a source that hangs is left behind.
        """
        with self._changing:
            self._closed = True
            self._stop(list(self._sources.values()))
        self.hub.close(reason)

    def close(self) -> None:
        """End everything. A second call does nothing."""
        self.drain()
        self._close_pools()

    def __enter__(self) -> Station:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def source(self, name: str) -> SourceRun:
        """One source.

        Raises:
            UsageError: there is none of this name.
        """
        sources = self._sources
        if name not in sources:
            raise UsageError(unknown(f"source {name}", sources))
        return sources[name]

    def glance(self) -> list[SourceGlance]:
        """How every source is doing. From any thread."""
        return [run.glance() for run in self._sources.values()]

    def add_source(self, spec: SourceSpec) -> None:
        """Listen to one more.

        Raises:
            UsageError: there is one of this name, one that writes to the same place, or room for no more.
            ModelError: its model cannot be used.
        """
        with self._changing:
            if spec.name in self._sources:
                raise UsageError(
                    f"source {spec.name!r}: there is one of this name; change or remove that one"
                )
            self._apply({**self._specs(), spec.name: spec})

    def change_source(self, name: str, spec: SourceSpec) -> None:
        """Listen to a source in another way, or under another name; nothing happens where that is the same.

        Raises:
            UsageError, ModelError: as for `add_source`; or there is no such source.
        """
        with self._changing:
            self.source(name)
            if spec.name != name and spec.name in self._sources:
                raise UsageError(f"source {spec.name!r}: there is one of this name; choose another one")
            specs = self._specs()
            self._apply(
                {spec.name if key == name else key: spec if key == name else specs[key] for key in specs}
            )

    def remove_source(self, name: str) -> None:
        """Listen to it no more.

        Raises:
            UsageError: there is none of this name.
        """
        with self._changing:
            self.source(name)
            self._apply({key: spec for key, spec in self._specs().items() if key != name})

    def replace_sources(self, specs: Iterable[SourceSpec]) -> Reloaded:
        """Take these for those that the settings file had until now. Sources that were added otherwise stay.

        Those that are asked for as before go on without losing a sample.

        Raises:
            UsageError, ModelError: as for `add_source`; then everything stays as it was.
        """
        with self._changing:
            wanted = {spec.name: spec for spec in self._unique(specs)}
            kept = {name: spec for name, spec in self._specs().items() if name not in self._from_file}
            found = self._apply({**kept, **wanted})
            self._from_file = frozenset(wanted)
            return found

    def reload(self, path: str, reader: SpecReader) -> Reloaded:
        """Read the settings file again, and do what is different there.

        Raises:
            UsageError, ModelError: the file, or what stands in it, cannot be used; then everything stays as it was.
        """
        return self.replace_sources(reader.read_sources(path))

    def _specs(self) -> dict[str, SourceSpec]:
        return {name: run.spec for name, run in self._sources.items()}

    def _unique(self, specs: Iterable[SourceSpec]) -> list[SourceSpec]:
        found = list(specs)
        check_claims(found)
        return found

    def _check(self, specs: Iterable[SourceSpec]) -> None:
        """Refuse what cannot be, before anything changes. Loads models."""
        specs = list(specs)
        if len(specs) > MAX_SOURCES:
            raise UsageError(f"{len(specs)} sources: a station has up to {MAX_SOURCES}; start another one")
        check_claims(specs)
        for spec in specs:
            make_rules(self.pool(spec.model, spec.provider).model, spec)

    def _make(self, spec: SourceSpec) -> SourceRun:
        pool = self.pool(spec.model, spec.provider)
        return SourceRun(spec, pool, self.hub, beside=self._beside, patience=self._patience)

    def _apply(self, wanted: Mapping[str, SourceSpec]) -> Reloaded:
        """Make the sources these, by stopping and starting those that differ."""
        if self._closed:
            raise UsageError("the station stops: it takes no more changes")
        self._check(wanted.values())
        before = self._sources
        same = {name for name, run in before.items() if name in wanted and run.spec.same_as(wanted[name])}
        gone = [run for name, run in before.items() if name not in same]
        self._stop(gone)
        self._sources = {
            name: before[name] if name in same else self._make(spec) for name, spec in wanted.items()
        }
        if self._started:
            for name, run in self._sources.items():
                if name not in same:
                    run.start()
        self._close_idle_pools()
        return Reloaded(
            added=tuple(name for name in wanted if name not in before),
            changed=tuple(name for name in wanted if name in before and name not in same),
            removed=tuple(name for name in before if name not in wanted),
            unchanged=tuple(name for name in before if name in same),
        )

    def _stop(self, runs: Sequence[SourceRun]) -> None:
        """Side by side, so that it takes no longer than the slowest one."""
        for run in runs:
            run.begin_stop()
        end = time.monotonic() + STOP_SECONDS
        for run in runs:
            run.stop(max(0.0, end - time.monotonic()))

    def _close_idle_pools(self) -> None:
        """Give up models that nobody uses any more."""
        used = {(run.spec.model, run.spec.provider) for run in self._sources.values()}
        used |= self._served
        for key in [key for key, pool in self._pools.items() if key not in used and not pool.streams]:
            self._pools.pop(key).close()

    def _close_pools(self) -> None:
        with self._changing:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()
