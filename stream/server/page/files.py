"""Files: the page itself, read once, served with a policy that lets it load nothing from elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

FOLDER = Path(__file__).parent
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Scripts and styles only from files of this server, no inline ones; sounds also from what the page has fetched.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked for each time, and sent again only where it has changed
}


class PageFile:
    """One file, as an endpoint."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        self._type = MEDIA_TYPES[path.suffix]
        self._tag = f'"{hashlib.sha256(self._data).hexdigest()[:32]}"'

    async def answer(self, request: Request) -> Response:
        """The file, or that the browser has it already."""
        headers = {**HEADERS, "ETag": self._tag}
        if self._tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self._data, headers=headers, media_type=self._type)


def file_routes() -> list[BaseRoute]:
    """``/`` is index.html; all others are below ``/page/``, each by a route of its own: no path is ever opened."""
    routes: list[BaseRoute] = [Route("/", PageFile(FOLDER / "index.html").answer, name="page")]
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in MEDIA_TYPES and path.suffix != ".html":
            below = path.relative_to(FOLDER).as_posix()
            routes.append(Route(f"/page/{below}", PageFile(path).answer, name=f"page/{below}"))
    return routes
