"""A station of many sources and streams behind one HTTP address: ``stream-classify serve``.

limits.py   every bound, in one place
refusals.py what is not granted, with a code
pool/       all streams of one model in this process, run together
workers/    the same in processes of their own, for streams from outside
station/    sources of its own: settings, supervision, changes while it runs
hub.py      what the sources say, handed to watchers (hub_message.py, watcher.py)
access/     who may do what: tokens, origins, hosts, proxies
http/       the application and its HTTP part
serving.py  the application behind a socket: uvicorn, TLS, signals, draining

Nothing here is imported by the plain command. Names are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.server.access.access import Access
    from stream.server.http.app import make_app
    from stream.server.hub import Hub
    from stream.server.limits import Limits
    from stream.server.pool import Pool
    from stream.server.station import Station

_HOMES = {
    "Access": "stream.server.access.access",
    "Hub": "stream.server.hub",
    "Limits": "stream.server.limits",
    "Pool": "stream.server.pool",
    "Station": "stream.server.station",
    "make_app": "stream.server.http.app",
}
__all__ = ["Access", "Hub", "Limits", "Pool", "Station", "make_app"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
