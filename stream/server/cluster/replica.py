"""A replica: the application of a station in a process of Ray Serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from stream.server.cluster.departure import Departure, watch
from stream.server.cluster.plan import ClusterPlan
from stream.server.cluster.ray_store import RayStore, open_shelves
from stream.server.cluster.sourceless import cluster_station

if TYPE_CHECKING:
    from starlette.applications import Starlette

log = logging.getLogger(__name__)


class Replica:
    """What Ray Serve makes in each of its processes.

    Args:
        plan: what is deployed.
    """

    def __init__(self, plan: ClusterPlan) -> None:
        self._app = _application(plan)
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
        watching = asyncio.create_task(watch(self._departure))
        try:
            yield
        finally:
            self._departure.stop()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def _application(plan: ClusterPlan) -> Starlette:
    from ray import serve

    from stream.server.http.app import make_app

    me = serve.get_replica_context().replica_id.unique_id
    store = RayStore(open_shelves(plan.shelves, plan.shelf_bytes), me)
    return make_app(cluster_station(plan), plan.access, plan.limits, page=plan.page, resume_store=store)


def _during_lifespan(app: Starlette, also: Any) -> None:
    """Have ``also`` around the life of ``app``, inside its own lifespan."""
    own = app.router.lifespan_context

    @asynccontextmanager
    async def both(app: Starlette) -> AsyncIterator[Any]:
        async with own(app) as state, also():
            yield state

    app.router.lifespan_context = both
