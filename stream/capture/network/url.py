"""Network addresses: which are understood, how they are shown without secrets, and how FFmpeg wants them."""

from __future__ import annotations

import re
from urllib.parse import quote

from stream.errors import UsageError

SCHEMES = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt", "tcp")


def _split(url: str) -> tuple[str, str, str]:
    """Scheme, "user:password" (or ""), and the rest.

    ``urllib`` cuts at ``#``, ``/`` and ``?``, which cameras' passwords contain; here they belong to the
    password when an ``@`` follows and no host name could have ended before.
    """
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", url, re.DOTALL)
    if found is None or found[1].lower() not in SCHEMES:
        raise UsageError(f"{redacted(url)!r} has no known scheme: use one of {', '.join(SCHEMES)}")
    rest = found[2]
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    plain_host = re.fullmatch(r"(\[[^\]]*\]|[^:@#]*)(:\d*)?(#[^@]*)?", authority)
    cut = -1 if plain_host else rest.rfind("@") if "@" not in authority else authority.rfind("@")
    return found[1].lower(), rest[: max(cut, 0)], rest[cut + 1 :]


def redacted(url: str) -> str:
    """The address as it may be printed: no user, no password, and no query, where tokens live."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.lower() not in SCHEMES:
        return re.sub(r"://.*@", "://***@", url, flags=re.DOTALL)
    _, secret, place = _split(url)
    place = re.sub(r"[?#].*", "?***", place, flags=re.DOTALL)
    return f"{scheme.lower()}://{'***@' if secret else ''}{place}"


def for_ffmpeg(url: str) -> str:
    """The address with user and password in per-cent encoding, so that ``#`` or ``@`` in them do no harm.

    Raises:
        UsageError: an unknown scheme.
    """
    scheme, secret, place = _split(url)
    if not secret:
        return f"{scheme}://{place}"
    return f"{scheme}://{quote(secret, safe='%:!$&()*+,;=~-._')}@{place}"
