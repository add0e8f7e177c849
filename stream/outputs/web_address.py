"""Web addresses that are posted to: which can be used, and how they are shown without their secrets."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from stream.errors import UsageError

_SAFE = "%/:=&?~#+!$,;'@()*[]"


def check_url(option: str, url: str) -> str:
    """``url``, if events can be posted to it.

    Raises:
        UsageError: it cannot be understood, or is no http or https.
    """
    wrong = ""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            wrong = "is no http or https address"
        elif not parts.hostname:
            wrong = "names no server"
        elif re.search(r"[\x00-\x20\x7f]", url):
            wrong = "holds spaces or control characters"
        elif parts.port == 0:
            wrong = "port 0 cannot be reached"
        else:
            plain(parts)
    except ValueError:  # of urlsplit, of the port, of the host's name
        wrong = "cannot be understood; characters such as / and @ in a password are written as %2F and %40"
    if wrong:
        raise UsageError(f"{option} {shown_url(url)}: {wrong}; give it as https://SERVER/PATH")
    return url


def shown_url(url: str) -> str:
    """Scheme and server, without what may be secret: user, password, the path and query in which tokens live."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        return f"{url.partition('://')[0]}://***" if "://" in url else "***"
    if not parts.scheme or not host:
        return "***" if "@" in url else url
    host = f"[{host}]" if ":" in host else host
    more = "/***" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{host}{port}{more}"


def plain(parts: SplitResult) -> str:
    """An address without user and password, as it is requested."""
    host = (
        (parts.hostname or "").encode("idna").decode()
        if ":" not in (parts.hostname or "")
        else f"[{parts.hostname}]"
    )
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme, netloc, quote(parts.path or "/", _SAFE), quote(parts.query, _SAFE), ""))


def same_server(url: str, other: str) -> bool:
    """Whether both are one server, by the same or a safer way.

    Raises:
        ValueError: one of them is no address.
    """
    a, b = urlsplit(url), urlsplit(other)
    ports = [part.port or {"http": 80, "https": 443}.get(part.scheme, 0) for part in (a, b)]
    ways = (a.scheme, b.scheme)
    safer = ways == ("http", "https") and ports == [80, 443]
    return a.hostname == b.hostname and (safer or (ways[0] == ways[1] and ports[0] == ports[1]))
