"""Ray: one of our own on this machine for as long as we run, or one that runs elsewhere."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stream.errors import UsageError
from stream.server.cluster.environment import cluster_environment, local_environment
from stream.server.cluster.plan import ClusterPlan
from stream.server.limits import Limits

OBJECT_STORE_BYTES = 100 << 20  # nearly nothing of ours goes through it
REACH_SECONDS = 5.0
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
        ports=(_free_port(), _free_port()),
        streams=plan.replicas.high * plan.most_connections,
        token=secrets.token_hex(32),
    )
    os.environ.update(environment)
    import ray

    _quiet()
    cores = max(os.cpu_count() or 1, round(plan.replicas.low * plan.cpus))
    try:
        ray.init(
            address="local",
            num_cpus=cores,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(folder),
        )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def ray_at(address: str, limits: Limits) -> Iterator[None]:
    """The Ray that runs at ``address``, such as "10.0.0.5:6379", or "auto" for the one of this machine.

    Raises:
        UsageError: there is none, or it is of another version.
    """
    if address != "auto":
        _reach(address)
    environment = cluster_environment(limits, os.environ)
    os.environ.update(environment)
    import ray

    _quiet()
    settings: dict[str, Any] = {"env_vars": environment}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=settings)
    except (ConnectionError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise UsageError(f"--ray {address}: cannot join that cluster: {text}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    host, sign, port = address.removeprefix("ray://").rpartition(":")
    if not sign or not port.isdigit():
        raise UsageError(
            f"--ray {address}: want local, auto, or the address of a cluster such as 10.0.0.5:6379"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"--ray {address}: nobody answers there: {reason}; start one with ray start --head, or say --ray local"
        ) from None


def _short_folder() -> Path:
    """A new folder of ours alone. Sockets lie deep in it, and the path of a socket has at most some hundred letters."""
    usual = tempfile.gettempdir()
    place = usual if len(usual) <= LONGEST_FOLDER or not os.path.isdir("/tmp") else "/tmp"
    return Path(tempfile.mkdtemp(prefix="sc-", dir=place))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _quiet() -> None:
    """Ray's own lines in our log are those that matter. It sets its levels itself, so a filter does it."""
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.ERROR)
