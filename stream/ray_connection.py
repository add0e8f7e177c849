"""Ray: work on other machines. Joins a cluster, or starts one on this machine for as long as it is needed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stream.errors import UsageError
from stream.installation import install_command
from stream.printable import printable

ANSWER_SECONDS = (
    5.0  # that a cluster gets to take a connection; Ray itself would look for it for over a minute
)


@contextmanager
def ray_connection(
    address: str,
    *,
    cpus: int | None = None,
    environment: Mapping[str, str] | None = None,
    own: Mapping[str, Any] | None = None,
) -> Iterator[Any]:
    """Ray, connected; behind the block the connection is closed, and with it the work that was given to it.

    A connection that this process has already is used, and left as it is.

    Args:
        address: "local" for a Ray of our own on this machine, "auto" for the cluster that this machine belongs to, or
            HOST:PORT of a cluster's head.
        cpus: how many tasks run at a time in a Ray of our own; by default as many as there are cores.
        environment: variables of the processes that work in a cluster. Those of our own have this process's.
        own: more arguments of ``ray.init`` for a Ray of our own.

    Yields:
        The module ``ray``.

    Raises:
        UsageError: Ray is not installed, the address is none, or no cluster that fits answers there.
    """
    try:
        import ray
    except ImportError:
        raise UsageError(f"Ray is not installed; run: {install_command('ray')}") from None
    if ray.is_initialized():
        yield ray
        return
    _connect(ray, address, cpus, dict(environment or {}), dict(own or {}))
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(
    ray: Any, address: str, cpus: int | None, environment: dict[str, str], own: dict[str, Any]
) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        ray.init(address=address, num_cpus=cpus or os.cpu_count(), include_dashboard=False, **own, **quiet)
        return
    if address != "auto":
        _look_for(address)
    try:
        ray.init(address=address, runtime_env={"env_vars": environment}, **quiet)
    except (
        OSError,
        RuntimeError,
        ValueError,
    ) as error:  # Ray's own words: no cluster, or another version of Ray
        reason = printable(" ".join(str(error).split()))
        hint = "" if "RAY_AUTH_MODE" in os.environ else "; where it wants a token, set RAY_AUTH_MODE=token"
        raise UsageError(f"Ray at {printable(address)}: {reason}{hint}") from None


def _look_for(address: str) -> None:
    """Refuse an address where nobody answers."""
    shown = printable(address)
    if address.startswith("ray://"):
        raise UsageError(
            f"Ray at {shown}: a Ray client cannot do this; start the command on a machine of the cluster, with auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(
            f"Ray at {shown}: want local, auto or HOST:PORT of the cluster's head (usually port 6379)"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"Ray at {shown}: nobody answers there ({reason}); ray start --head begins a cluster, local one here"
        ) from None
