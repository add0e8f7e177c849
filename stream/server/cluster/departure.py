"""How a replica learns that it is to leave, early enough to send its streams elsewhere.

Ray Serve takes a replica out of the set that gets new connections, and only then lets it finish what it has. It tells
the replica itself nothing: destructor and lifespan come when everything is over. But whoever routes requests is told of
every change of the set at once, and so is this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)
SURE_SECONDS = (
    1.0  # a controller that starts again does not know all replicas at once; and proxies must know first
)
RETRY_SECONDS = 1.0


class Departure:
    """Whether this replica is among those that get new connections.

    Args:
        leave: called once on the event loop, when it was and is no more.

    Attributes:
        left: whether ``leave`` was called.
        returned: whether it is wanted all the same: it should be replaced.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._timer: asyncio.TimerHandle | None = None
        self._began = False
        self.left = self.returned = False

    def told(self, wanted: bool) -> None:
        """Whether the replica is in the newest set. On the event loop."""
        if wanted:
            self._began, self.returned = True, self.left
            self.stop()
        elif self._began and self._timer is None and not self.left:
            self._timer = asyncio.get_running_loop().call_later(SURE_SECONDS, self._go)

    def stop(self) -> None:
        """Do not leave, if it was about to."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go(self) -> None:
        self._timer, self.left = None, True
        self._leave()


async def watch(departure: Departure) -> None:
    """Tell ``departure`` of every change, until cancelled. In a replica, on its event loop."""
    from ray.exceptions import RayError

    try:
        ask, mine, members = _routing()
    except (ImportError, AttributeError) as error:
        log.error(
            "this version of Ray does not say which replicas leave (%s): "
            "streams will be cut when theirs does, and go on from what was saved last",
            error,
        )
        return
    newest = -1
    while True:
        try:
            newest, found = await ask(newest)
        except (RayError, ValueError) as error:  # the controller is away, and Ray starts it again
            log.debug("cannot ask which replicas are wanted: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
            newest = -1
            continue
        if found is not None:
            departure.told(mine in members(found))


def _routing() -> tuple[Callable[[int], Any], Any, Callable[[Any], set[Any]]]:
    """What Ray's own routers use: a question that is answered when the set changes, and how to read its answer."""
    import ray
    from ray import serve
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE
    from ray.serve._private.long_poll import LongPollNamespace

    mine = serve.get_replica_context().replica_id
    key = (LongPollNamespace.DEPLOYMENT_TARGETS, mine.deployment_id)

    async def ask(newest: int) -> tuple[int, Any]:
        controller = ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
        answer = await controller.listen_for_change.remote({key: newest})
        if not isinstance(answer, dict) or key not in answer:  # nothing changed for half a minute
            return newest, None
        return answer[key].snapshot_id, answer[key].object_snapshot

    return ask, mine, lambda targets: {each.replica_id for each in targets.running_replicas}
