"""Figures of all replicas, whichever of them is asked.

Whoever collects figures through the door of a cluster reaches one replica or another. So each pins its own on a board,
an actor, and answers with all that hang there, told apart by the label ``replica``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from stream.server.cluster.ray_store import NAMESPACE
from stream.server.http.metrics import Metrics

if TYPE_CHECKING:
    from starlette.applications import Starlette

log = logging.getLogger(__name__)
PIN_SECONDS = 5.0
STALE_SECONDS = 20.0
ANSWER_SECONDS = 2.0
BOARD = "stream-classify-figures"


class Board:
    """What the actor keeps: the newest figures of each replica."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pinned: dict[str, tuple[float, bytes]] = {}

    def pin(self, replica: str, figures: bytes) -> None:
        """Keep figures in place of older ones."""
        self._pinned[replica] = self._clock(), figures

    def pinned(self) -> dict[str, bytes]:
        """Those of replicas that were heard of lately."""
        old = self._clock() - STALE_SECONDS
        self._pinned = {name: each for name, each in self._pinned.items() if each[0] > old}
        return {name: figures for name, (_, figures) in self._pinned.items()}


def open_board() -> Any:
    """Handle of the actor, which is started where it does not run yet."""
    import ray

    return (
        ray.remote(Board)
        .options(
            name=BOARD,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_restarts=-1,
        )
        .remote()
    )


class ReplicaMetrics(Metrics):
    """The figures of one replica, which answers with those of all.

    Args:
        app: its application.
        replica: its name.
        board: handle of the actor.
    """

    def __init__(self, app: Starlette, replica: str, board: Any) -> None:
        super().__init__(app)
        self._replica, self._board = replica, board

    def text(self) -> bytes:
        """The figures of all replicas. Called in a thread."""
        import ray
        from ray.exceptions import RayError

        mine = super().text()
        try:
            others: dict[str, bytes] = ray.get(self._board.pinned.remote(), timeout=ANSWER_SECONDS)
        except RayError as error:
            log.warning("only the figures of one replica: %s", type(error).__name__)
            others = {}
        return together({**others, self._replica: mine})

    async def keep_pinned(self) -> None:
        """Pin the figures again and again, until cancelled."""
        while True:
            figures = await asyncio.to_thread(super().text)
            self._board.pin.remote(self._replica, figures)  # nobody waits: the next one comes soon
            await asyncio.sleep(PIN_SECONDS)


def together(figures: Mapping[str, bytes]) -> bytes:
    """Figures in Prometheus' format, of replicas by their names, as one."""
    registry = CollectorRegistry()
    registry.register(_All(figures))
    return generate_latest(registry)


class _All(Collector):
    def __init__(self, figures: Mapping[str, bytes]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for replica, text in sorted(self._figures.items()):
            for found in text_string_to_metric_families(text.decode()):
                family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                for sample in found.samples:
                    labels = {**sample.labels, "replica": replica}
                    family.samples.append(sample._replace(labels=labels))
        yield from families.values()
