"""Which pages may use this station from a browser, and by which host names it is addressed.

A browser lets every page in the world send requests to ``http://127.0.0.1``. Two checks keep them out: the ``Origin``
of a request that changes something or opens a WebSocket must be the station's own or an allowed one; and where only
this machine is served, the ``Host`` must be one of this machine's names, because a foreign page may point a name of its
own at 127.0.0.1 and would then be of the same origin (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from stream.errors import UsageError

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
Place = tuple[str, str, int]  # scheme of HTTP, host, port


def parse_origin(text: str) -> Place:
    """The place of an origin, as ``https://house.example.org``.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(text.strip())
        place = _place(parts.scheme, parts.hostname, parts.port)
    except ValueError:
        place = None
    if place is None or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise UsageError(f"origin {text!r}: want a scheme and a host, such as https://house.example.org")
    return place


def request_place(scheme: str, host: str) -> Place | None:
    """Where a request went to, by its scheme and its ``Host`` header; None if that is no host."""
    if any(char in host for char in "/@?#\\ ,"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        return _place(scheme, parts.hostname, parts.port)
    except ValueError:
        return None


def origin_is_ours(origin: str, own: Place | None, allowed: Iterable[Place]) -> bool:
    """Whether a page of this ``Origin`` may do what only our pages may. "null" is nobody's."""
    try:
        place = parse_origin(origin)
    except UsageError:
        return False
    return place == own or place in set(allowed)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _place(scheme: str, host: str | None, port: int | None) -> Place | None:
    if scheme not in _PORTS or not host:
        return None
    http = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return http, host.rstrip(".").lower(), _PORTS[scheme] if port is None else port
