"""A replica: the application of a station in a process of Ray Serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from stream.errors import UsageError
from stream.server.cluster.departure import Departure, watch
from stream.server.cluster.plan import ClusterPlan
from stream.server.cluster.ray_store import RayStore, open_shelves

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from stream.inference.session import Model
    from stream.server.cluster.figures import ReplicaMetrics

log = logging.getLogger(__name__)


class Replica:
    """What Ray Serve makes in each of its processes.

    Args:
        plan: what is deployed.
    """

    def __init__(self, plan: ClusterPlan) -> None:
        self._app, self._metrics = _application(plan)
        self._departure = Departure(self._leave)
        _during_lifespan(self._app, self._watched)

    def __serve_build_asgi_app__(self) -> Starlette:
        """The application; Ray Serve asks for it behind the constructor."""
        return self._app

    async def check_health(self) -> None:
        """Called by Ray Serve from time to time.

        Raises:
            RuntimeError: this replica should be replaced.
        """
        if self._departure.returned:
            raise RuntimeError("this replica sent its streams away and is wanted again")

    def _leave(self) -> None:
        log.info("this replica is to leave: its streams are told to go on elsewhere")
        self._app.state.station.drain()
        self._app.state.draining.begin()

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(each) for each in (watch(self._departure), self._metrics.keep_pinned())]
        try:
            yield
        finally:
            self._departure.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _application(plan: ClusterPlan) -> tuple[Starlette, ReplicaMetrics]:
    from ray import serve

    from stream.server.cluster.figures import ReplicaMetrics, open_board
    from stream.server.http.app import make_app
    from stream.server.station import Station

    me = serve.get_replica_context().replica_id.unique_id
    store = RayStore(open_shelves(plan.shelves_wanted, plan.shelf_bytes), me)
    station = Station(models=plan.models, load=_no_other_model, max_streams=plan.limits.streams)
    app = make_app(station, plan.access, plan.limits, page=plan.page, resume_store=store)
    app.state.metrics = metrics = ReplicaMetrics(app, me, open_board())
    return app, metrics


def _no_other_model(name: str, provider: str) -> Model:
    raise UsageError(f"model {name}: a cluster has no sources of its own, so it loads no models for them")


def _during_lifespan(app: Starlette, also: Any) -> None:
    """Have ``also`` around the life of ``app``, inside its own lifespan."""
    own = app.router.lifespan_context

    @asynccontextmanager
    async def both(app: Starlette) -> AsyncIterator[Any]:
        async with own(app) as state, also():
            yield state

    app.router.lifespan_context = both
