"""The plan handed to Ray Serve: deployed, replaced replica by replica, removed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from stream.errors import UsageError
from stream.printable import printable
from stream.server.cluster.plan import ClusterPlan
from stream.server.cluster.ray_store import close_actors, open_shelves, shelves_there
from stream.server.cluster.replica import Replica

APPLICATION = "stream-classify"
HEALTH_SECONDS = 5.0
STOP_BEHIND_DRAIN_SECONDS = 10
UP_SECONDS, DOWN_SECONDS = 10.0, 300.0  # that more, or fewer, replicas must have been right before they are


def bound(plan: ClusterPlan) -> Any:
    """The plan as an application of Ray Serve."""
    from ray import serve

    options: dict[str, Any] = {
        "name": "station",
        "max_ongoing_requests": plan.most_connections,
        "graceful_shutdown_wait_loop_s": 0.5,
        "graceful_shutdown_timeout_s": math.ceil(plan.limits.drain_seconds) + STOP_BEHIND_DRAIN_SECONDS,
        "health_check_period_s": HEALTH_SECONDS,
        "ray_actor_options": {"num_cpus": plan.cpus},
    }
    if plan.replicas.low == plan.replicas.high:
        options["num_replicas"] = plan.replicas.low
    else:
        options["autoscaling_config"] = {
            "min_replicas": plan.replicas.low,
            "max_replicas": plan.replicas.high,
            "target_ongoing_requests": plan.target_streams,
            "upscale_delay_s": UP_SECONDS,
            "downscale_delay_s": DOWN_SECONDS,
        }
    deployment: Any = serve.deployment(serve.ingress()(Replica), **options)
    return deployment.bind(plan)


def start_serve(host: str, port: int) -> bool:
    """Start Ray Serve on this cluster, if it does not run there. Whether it was started.

    Args:
        host, port: where its proxies listen, on every machine.

    Raises:
        UsageError: it does not start, as a port is taken for example.
    """
    import ray
    from ray import serve
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

    try:
        ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
    except ValueError:
        quiet = {"log_level": "WARNING", "enable_access_log": False}
        try:
            serve.start(
                proxy_location="EveryNode", http_options={"host": host, "port": port}, logging_config=quiet
            )
        except (RuntimeError, TimeoutError) as error:
            serve.shutdown()
            raise UsageError(f"Ray Serve does not start: {_told(error)}") from None
        return True
    return False


def deploy(plan: ClusterPlan) -> None:
    """Deploy the plan and wait until it serves.

    Where an earlier plan serves, its replicas are replaced, a fifth of them at a time; their streams go on in others.

    Raises:
        UsageError: its replicas do not start.
    """
    from ray import serve

    plan = replace(plan, shelves=shelves_there() or plan.shelves_wanted)
    open_shelves(plan.shelves_wanted, plan.shelf_bytes)
    try:
        serve.run(bound(plan), name=APPLICATION, route_prefix="/")
    except RuntimeError as error:
        raise UsageError(
            f"the replicas do not start: {_reason(error)}; Ray's logs say more (ray logs, or the folder serve/ of them)"
        ) from None


def remove() -> None:
    """End the application: streams are told, events end, replicas stop, and our actors with them."""
    from ray import serve

    serve.delete(APPLICATION)
    close_actors()


def replica_states() -> dict[str, int]:
    """How many replicas are in which state, such as ``{"RUNNING": 2}``; empty where nothing is deployed."""
    from ray import serve

    application = serve.status().applications.get(APPLICATION)
    if application is None:
        return {}
    states: dict[str, int] = {}
    for deployment in application.deployments.values():
        for state, count in deployment.replica_states.items():
            states[str(state)] = states.get(str(state), 0) + count
    return states


def _reason(error: Exception) -> str:
    from ray import serve

    application = serve.status().applications.get(APPLICATION)
    told = [each.message for each in application.deployments.values()] if application else []
    return _told(*told, error)


def _told(*texts: object) -> str:
    """The line that says why, of tracebacks and logs: HAProxy's first alert, else the last line."""
    lines = [line.strip() for text in texts for line in str(text).splitlines() if line.strip()]
    alerts = [line for line in lines if line.startswith("[ALERT]")]
    return printable((alerts or lines[-1:] or ["it does not say why"])[0][:300])
