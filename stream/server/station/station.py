"""Station: many sources at once, each by itself, and what all of them share."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from stream.assembly import make_rules
from stream.capture.live.supervisor import Backoff
from stream.errors import UsageError
from stream.inference.session import Model
from stream.outputs.catalogue import all_outputs
from stream.outputs.sink import Sink
from stream.server.hub import Hub
from stream.server.pool import AnyPool
from stream.server.station.claims import SHARED, check_claims
from stream.server.station.listened import AttachedRun, Listened
from stream.server.station.models import Models
from stream.server.station.source_glance import SourceGlance
from stream.server.station.source_run import STOP_SECONDS, SourceRun, nothing_beside, patient
from stream.server.station.source_spec import SourceSpec
from stream.settings.document import unknown

log = logging.getLogger(__name__)

MAX_SOURCES = 1000


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
        models: for streams from outside, by the names that clients use; the first is the default.
        load: gives the model of a name and a provider; raises `ModelError`.
        max_streams: of one model at a time.
        deadline: of a `Pool`, seconds.
        workers: processes that classify streams from outside, of each of ``models``; 0 = this one does.
        beside: makes sinks for each run of a source, beside its outputs.
        patience: makes the pauses between starts of a source that fails.

    Attributes:
        hub: what all sources say.
        pools: of ``models``, by their names.
        started_at: seconds since 1970.

    Raises:
        UsageError, SpecError: sources that contradict each other, or rules that do not fit the model.
        ModelError: a model cannot be used.
    """

    def __init__(
        self,
        specs: Iterable[SourceSpec] = (),
        models: Mapping[str, Model] | None = None,
        *,
        load: Callable[[str, str], Model],
        max_streams: int = 1000,
        deadline: float = 0.010,
        workers: int = 0,
        beside: Callable[[SourceSpec], Sequence[Sink]] = nothing_beside,
        patience: Callable[[], Backoff] = patient,
    ) -> None:
        self.hub = Hub()
        self.started_at = time.time()
        self._models = Models(models or {}, load, max_streams=max_streams, deadline=deadline, workers=workers)
        self.pools: Mapping[str, AnyPool] = self._models.served
        self._beside, self._patience = beside, patience
        self._changing = threading.RLock()
        self._sources: Mapping[str, SourceRun] = {}  # replaced whole, so that readers need no lock
        self._attached: Mapping[str, AttachedRun] = {}
        self._started = self._closed = False
        specs = tuple(specs)
        self._check(specs)
        self._sources = {spec.name: self._make(spec) for spec in specs}
        self._from_file = frozenset(self._sources)

    @property
    def pools_of(self) -> Mapping[str, Sequence[AnyPool]]:
        """Every pool by the name of its model: for streams from outside, then for sources where that is another."""
        return self._models.pools_of

    @property
    def sources(self) -> Mapping[str, Listened]:
        """By name, in the order in which they were added. It does not change; ask again for what is so then."""
        return {**self._attached, **self._sources}

    @property
    def specs(self) -> Mapping[str, tuple[SourceSpec, Model]]:
        """What each source is asked for, and its model, by name."""
        return {name: (run.spec, run.pool.model) for name, run in self._sources.items()}

    @property
    def history(self) -> str | None:
        """The history file that the first source with one writes; None where there is none."""
        for attached in self._attached.values():
            if attached.history is not None:
                return attached.history
        for run in self._sources.values():
            for asked in all_outputs(run.spec.outputs, run.spec.output_tables):
                if asked.kind == SHARED:
                    return str(asked.target)
        return None

    def start(self) -> None:
        """Start every source. Nothing is waited for."""
        with self._changing:
            self._started = True
            self._models.start()
            for run in self._sources.values():
                run.start()

    def drain(self) -> None:
        """The end is near: take no more changes, and let the sources begin to end. Returns at once."""
        self._closed = True
        for run in self._sources.values():
            run.begin_stop()

    def close(self) -> None:
        """End everything: sources, with what waits in their outputs, watchers, streams from outside.

        Takes some seconds at most, as a source that hangs is left behind. A second call does nothing.
        """
        self._closed = True
        with self._changing:
            self._stop(list(self._sources.values()))
            self.hub.close("the station stops")
            self._models.close()

    def __enter__(self) -> Station:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def source(self, name: str) -> Listened:
        """One source.

        Raises:
            UsageError: there is none of this name.
        """
        sources = self.sources
        if name not in sources:
            raise UsageError(unknown(f"source {name}", sources))
        return sources[name]

    def glance(self) -> list[SourceGlance]:
        """How every source is doing. From any thread."""
        return [run.glance() for run in self.sources.values()]

    def attach(self, run: AttachedRun) -> None:
        """Show the run of somebody else among the sources. It cannot be changed or removed here.

        Raises:
            UsageError: there is a source of this name.
        """
        with self._changing:
            if run.name in self.sources:
                raise UsageError(f"source {run.name!r}: there is one of this name; choose another one")
            self._attached = {**self._attached, run.name: run}

    def add_source(self, spec: SourceSpec) -> None:
        """Listen to one more.

        Raises:
            UsageError: there is one of this name, one that writes to the same place, or room for no more.
            ModelError: its model cannot be used.
        """
        with self._changing:
            if spec.name in self.sources:
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
            self._own(name)
            if spec.name != name and spec.name in self.sources:
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
            self._own(name)
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

    def _own(self, name: str) -> None:
        self.source(name)
        if name in self._attached:
            raise UsageError(f"source {name!r}: is what the command itself listens to; change its options")

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
            if spec.name in self._attached:
                raise UsageError(
                    f"source {spec.name!r}: is what the command itself listens to; rename this one"
                )
            make_rules(self._models.model(spec.model, spec.provider), spec)

    def _make(self, spec: SourceSpec) -> SourceRun:
        pool = self._models.pool(spec.model, spec.provider)
        return SourceRun(spec, pool, self.hub, beside=self._beside, patience=self._patience)

    def _apply(self, wanted: Mapping[str, SourceSpec]) -> Reloaded:
        """Make the sources these, by stopping and starting those that differ."""
        if self._closed:
            raise UsageError("the station stops: it takes no more changes")
        self._check(wanted.values())
        before = self._sources
        same = {name for name, run in before.items() if name in wanted and run.spec.same_as(wanted[name])}
        others = [name for name in before if name in wanted and name not in same]
        goes_on = same | {name for name in others if before[name].adopt(wanted[name])}
        gone = [run for name, run in before.items() if name not in goes_on]
        self._stop(gone)
        self._sources = {
            name: before[name] if name in goes_on else self._make(spec) for name, spec in wanted.items()
        }
        if self._started:
            for name, run in self._sources.items():
                if name not in goes_on:
                    run.start()
        self._models.keep({(run.spec.model, run.spec.provider) for run in self._sources.values()})
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
