"""Figures of a station, for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from stream._version import __version__
from stream.outputs.schema import EventRecord, GapRecord
from stream.server.http.answers import NO_STORE
from stream.server.http.operation import Answer, NoQuery, Operation
from stream.server.hub_message import HubMessage, SourceCondition
from stream.server.station.source_glance import SourceGlance
from stream.server.watcher import Watcher

_PREFIX = "stream_classify_"


class Metrics:
    """Counts of one application, in a registry of its own. Figures of sources and pools are read when asked for.

    Attributes:
        refused: requests and streams that were refused, by code.
        events: complete events of the station's sources, by source and class.
        gaps: stretches of lost sound, by source.
        files: recordings that were classified.
    """

    def __init__(self, app: Starlette) -> None:
        self.registry = CollectorRegistry()
        self.refused = self._counter("refused", "Requests and streams that were refused", "code")
        self.events = self._counter("events", "Complete events of sources", "source", "label")
        self.gaps = self._counter("gaps", "Stretches of lost sound of sources", "source")
        self.files = self._counter("files", "Recordings that were heard")
        info = Gauge(_PREFIX + "info", "The program", ["version"], registry=self.registry)
        info.labels(__version__).set(1)
        self.registry.register(_Standing(app))

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, words, labels, registry=self.registry)

    def note(self, message: HubMessage) -> None:
        """Count what a hub tells."""
        record = message.record
        if isinstance(record, EventRecord):
            self.events.labels(message.source, record.label).inc()
        elif isinstance(record, GapRecord) and not record.open:
            self.gaps.labels(message.source).inc()

    async def follow(self, watcher: Watcher) -> None:
        """Count all that a hub tells, until it ends."""
        with watcher:
            async for message in watcher:
                self.note(message)

    def text(self) -> bytes:
        """All figures, in Prometheus' format."""
        return generate_latest(self.registry)


class _Standing(Collector):
    """What is so at the moment of asking."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def describe(self) -> Iterable[Metric]:
        return []  # nothing is asked of the station before it has started

    def collect(self) -> Iterator[Metric]:
        state = self._app.state
        yield _gauge(
            "streams",
            "Streams from outside that are open",
            [((), state.streams.heard)],
        )
        yield _gauge(
            "streams_kept",
            "Streams whose connection broke and that may come back",
            [((), state.streams.parked)],
        )
        yield _gauge("watchers", "Who follows events", [((), state.followers)])
        yield _gauge("files_now", "Recordings that are heard or wait", [((), state.turns.admitted)])
        yield _gauge("draining", "1 when the end has begun", [((), int(state.draining.begun))])
        pools = state.station.pools_of
        yield _gauge(
            "pool_streams",
            "Streams of a model, from outside and of sources",
            [((name,), sum(pool.streams for pool in each)) for name, each in pools.items()],
            "model",
        )
        yield _gauge(
            "pool_max_streams",
            "Room of a model for streams from outside",
            [((name,), pool.max_streams) for name, pool in state.station.pools.items()],
            "model",
        )
        behind = [stream.behind for stream in state.streams.all]
        yield _gauge(
            "streams_behind_seconds",
            "Sound not yet classified, of the stream with most",
            [((), max(behind, default=0.0))],
        )
        for name, words, field in (
            ("pool_batches", "Batches that were run", "batches"),
            ("pool_batched", "Sources and streams in them, each time they were", "batched"),
        ):
            family = CounterMetricFamily(_PREFIX + name, words, labels=["model"])
            for model, each in pools.items():
                family.add_metric([model], sum(getattr(pool, field) for pool in each))
            yield family
        yield from _of_sources(state.station.glance())


def _of_sources(glances: list[SourceGlance]) -> Iterator[Metric]:
    yield _gauge(
        "source_state",
        "1 for the state that a source is in",
        [
            ((each.name, state), int(each.state == state))
            for each in glances
            for state in get_args(SourceCondition)
        ],
        "source",
        "state",
    )
    for name, words, field in (
        ("source_heard_seconds", "Sound of this run, lost sound too", "seconds"),
        ("source_lost_seconds", "Lost sound of this run", "lost_seconds"),
        ("source_rows", "Rows of scores of this run", "rows"),
        ("source_busy_seconds", "Time spent classifying in this run", "busy_seconds"),
        ("source_restarts", "Starts after an error", "restarts"),
    ):
        family = CounterMetricFamily(_PREFIX + name, words, labels=["source"])
        for each in glances:
            family.add_metric([each.name], getattr(each, field))
        yield family
    for name, words, field in (
        ("source_lag_seconds", "From the capture of the newest sound to its result", "lag_seconds"),
        ("source_level_dbfs", "Level of the newest tenth of a second", "rms_dbfs"),
    ):
        found = [((each.name,), value) for each in glances if (value := getattr(each, field)) is not None]
        yield _gauge(name, words, found, "source")


def _gauge(name: str, words: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, words, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


async def get_metrics(request: Request, query: NoQuery) -> Response:
    """The figures."""
    metrics: Metrics = request.app.state.metrics
    data = await asyncio.to_thread(metrics.text)
    return Response(data, headers={**NO_STORE, "Content-Type": CONTENT_TYPE_LATEST})


_MEDIA: Any = CONTENT_TYPE_LATEST.partition(";")[0]
OPERATIONS = (
    Operation(
        method="GET",
        path="/metrics",
        name="get_metrics",
        summary="Figures for Prometheus",
        handler=get_metrics,
        scope="read",
        answers={200: Answer("figures", None, (_MEDIA,))},
    ),
)
