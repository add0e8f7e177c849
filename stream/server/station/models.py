"""Models: each file once, with one pool, whoever asks for it and by which name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

from stream.inference.session import Model
from stream.server.pool import AnyPool, Pool
from stream.server.workers import WorkerPool

AsNamed = tuple[str, str]  # name and provider, as settings have them
AsRun = tuple[str, str]  # digest of the file, and where it runs


class Models:
    """The models of a station and their pools.

    Args:
        served: by the names that clients use; they stay for as long as the station.
        load: gives the model of a name and a provider.
        max_streams, deadline: of each `Pool`.
        workers: processes for streams of each model that is served; 0 = they are classified in this one.

    Attributes:
        served: pools for streams from outside, by name.
    """

    def __init__(
        self,
        served: Mapping[str, Model],
        load: Callable[[str, str], Model],
        *,
        max_streams: int,
        deadline: float,
        workers: int = 0,
    ) -> None:
        self._load, self._max_streams, self._deadline = load, max_streams, deadline
        self._lock = threading.RLock()
        self._named: dict[AsNamed, Model] = {}
        self._pools: dict[AsRun, Pool] = {}
        self._outside: dict[AsRun, WorkerPool] = {}
        self._workers = workers
        self._started = False
        self.served: Mapping[str, AnyPool] = {name: self._served_by(model) for name, model in served.items()}
        self._kept = {_as_run(pool.model) for pool in self.served.values()}
        self._named.update({(name, "auto"): model for name, model in served.items()})
        self._always = set(self._named)

    def model(self, name: str, provider: str) -> Model:
        """A model, loaded when it is first asked for.

        Raises:
            ModelError: it cannot be used.
        """
        with self._lock:
            if (name, provider) not in self._named:
                self._named[name, provider] = self._load(name, provider)
            return self._named[name, provider]

    def pool(self, name: str, provider: str) -> Pool:
        """The pool that runs a model; raises as `model`."""
        with self._lock:
            return self._pool_of(self.model(name, provider))

    @property
    def pools_of(self) -> dict[str, list[AnyPool]]:
        """Every pool by the name of its model: that of streams from outside first, then the sources' own."""
        with self._lock:
            named = [(name, self.served[name]) for name in self.served]
            own = {key: pool for key, pool in self._pools.items() if pool not in self.served.values()}
            for (name, _), model in self._named.items():
                if (pool := own.pop(_as_run(model), None)) is not None:
                    named.append((name, pool))
        found: dict[str, list[AnyPool]] = {}
        for name, each in named:
            found.setdefault(name, []).append(each)
        return found

    def start(self) -> None:
        """Start every pool, and each that is made later when it is made."""
        with self._lock:
            self._started = True
            for pool in self._all:
                pool.start()

    def keep(self, used: Collection[AsNamed]) -> None:
        """Forget the models that nobody uses any more: neither these, nor served, nor with a stream on."""
        with self._lock:
            self._named = {
                named: model for named, model in self._named.items() if named in used or named in self._always
            }
            wanted = {_as_run(model) for model in self._named.values()} | self._kept
            for key in [key for key, pool in self._pools.items() if key not in wanted and not pool.streams]:
                self._pools.pop(key).close()

    def close(self) -> None:
        """Close every pool."""
        with self._lock:
            pools = self._all
        for pool in pools:
            pool.close()

    @property
    def _all(self) -> list[AnyPool]:
        return [*self._pools.values(), *self._outside.values()]

    def _served_by(self, model: Model) -> AnyPool:
        if not self._workers:
            return self._pool_of(model)
        key = _as_run(model)
        if key not in self._outside:
            self._outside[key] = WorkerPool(
                model, workers=self._workers, max_streams=self._max_streams, deadline=self._deadline
            )
        return self._outside[key]

    def _pool_of(self, model: Model) -> Pool:
        key = _as_run(model)
        if key not in self._pools:
            self._pools[key] = Pool(model, max_streams=self._max_streams, deadline=self._deadline)
            if self._started:
                self._pools[key].start()
        return self._pools[key]


def _as_run(model: Model) -> AsRun:
    return model.sha256, model.provider
