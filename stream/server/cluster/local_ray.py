"""Ray: one of our own on this machine for as long as we run, or one that runs elsewhere."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import random
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stream.errors import UsageError
from stream.ray_connection import ray_connection
from stream.server.cluster.environment import (
    TIED_HAPROXY,
    cluster_environment,
    local_environment,
    write_tied_haproxy,
)
from stream.server.cluster.plan import ClusterPlan
from stream.server.limits import Limits

_PORTS, _TRIES = range(20_000, 32_768), 100
LONGEST_FOLDER = 14


@contextlib.contextmanager
def own_ray(plan: ClusterPlan) -> Iterator[None]:
    """A Ray on this machine, for this process alone. It ends behind the block, with all that it started.

    Ray reads its environment when it is imported, so this must be the first that imports it. Only the command line may
    enter it: it changes the environment of the process.
    """
    folder = _short_folder()
    environment = local_environment(
        plan.limits,
        os.environ,
        folder=folder,
        ports=(free_port(), free_port()),
        streams=plan.replicas.high * plan.most_connections,
        token=secrets.token_hex(32),
    )
    if environment.get("RAY_SERVE_HAPROXY_BINARY_PATH") == str(folder / TIED_HAPROXY):
        write_tied_haproxy(folder / TIED_HAPROXY)
    os.environ.update(environment)
    _quiet()
    cores = max(os.cpu_count() or 1, math.ceil(plan.replicas.low * plan.cpus))
    try:
        own = {"object_store_memory": _store_bytes(plan), "_temp_dir": str(folder)}
        with ray_connection("local", cpus=cores, own=own):
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def ray_at(address: str, limits: Limits) -> Iterator[None]:
    """The Ray that runs at ``address``, as `ray_connection` takes it.

    Raises:
        UsageError: there is none, or none that fits.
    """
    environment = cluster_environment(limits, os.environ)
    os.environ.update(environment)
    _quiet()
    with ray_connection(address, environment=environment):
        yield


def _store_bytes(plan: ClusterPlan) -> int:
    """For Ray's memory of objects, usually a third of the machine's: models go through it, and little else."""
    return (100 << 20) + 4 * sum(os.path.getsize(model.path) for model in plan.models.values())


def _short_folder() -> Path:
    """A new folder of ours alone. Sockets lie deep in it, and the path of a socket has at most some hundred letters."""
    usual = tempfile.gettempdir()
    place = usual if len(usual) <= LONGEST_FOLDER or not os.path.isdir("/tmp") else "/tmp"
    return Path(tempfile.mkdtemp(prefix="sc-", dir=place))


def free_port() -> int:
    """A port that stays free for the seconds until it is taken: of none of the ranges that the system (from 32768) and
    Ray's workers (10002 to 19999) draw theirs from.

    Raises:
        UsageError: none is free.
    """
    for port in random.sample(_PORTS, _TRIES):
        try:
            with socket.create_server(("", port)):
                return port
        except OSError:  # taken
            continue
    raise UsageError(f"Ray Serve does not start: no port from {_PORTS[0]} to {_PORTS[-1]} is free")


def _quiet() -> None:
    """Ray's own lines in our log are those that matter. It sets its levels itself, so a filter does it."""
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.ERROR)
