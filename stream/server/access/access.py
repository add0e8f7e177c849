"""Access: who asks, and whether that is granted."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.requests import HTTPConnection

from stream.server.access.failures import Failures
from stream.server.access.origins import is_loopback, origin_is_ours, parse_origin, request_place
from stream.server.access.proxies import Proxies
from stream.server.access.tokens import SCOPES, Identity, Scope, TokenFile
from stream.server.limits import Limits
from stream.server.refusals import Forbidden, Refused, Unauthorised

log = logging.getLogger(__name__)
_OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-real-ip")  # headers that they add
LOCAL = Identity("local", frozenset(SCOPES))


class Access:
    """What is asked before anything is granted.

    Args:
        tokens: who may do what; None grants everything to everybody who can connect, which is for loopback alone.
        origins: of pages beside the station's own that may use it, such as "https://house.example.org".
        proxies: whose forwarded headers are believed.
        loopback_only: the station listens on this machine alone, so it is called by this machine's names.
        limits: its ``failed_tokens``.

    Raises:
        UsageError: an origin that is none.
    """

    def __init__(
        self,
        tokens: TokenFile | None = None,
        *,
        origins: Sequence[str] = (),
        proxies: Proxies | None = None,
        loopback_only: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.tokens = tokens
        self.origins = tuple(origins)
        self.proxies = proxies or Proxies()
        self._allowed = [parse_origin(each) for each in origins]
        self._loopback_only = loopback_only
        self._failures = Failures((limits or Limits()).failed_tokens)

    def reload(self) -> None:
        """Read the tokens again.

        Raises:
            UsageError: the file is not as it must be; the tokens of before stay.
        """
        if self.tokens is not None:
            self.tokens.reload()

    def identify(
        self, connection: HTTPConnection, scope: Scope | None = None, *, token: str | None = None
    ) -> Identity:
        """Who asks.

        Args:
            connection: a request or a WebSocket.
            scope: that must be granted; None = any.
            token: as a WebSocket's hello says it; None looks for the header ``Authorization: Bearer …``.

        Raises:
            Unauthorised: no token, or one that is not known.
            Forbidden: the token does not grant ``scope``.
        """
        if self.tokens is None:
            return LOCAL
        if token is None:
            kind, _, token = connection.headers.get("authorization", "").partition(" ")
            token = token.strip() if kind.lower() == "bearer" else ""
        if not token:
            raise Unauthorised()
        identity = self.tokens.find(token)
        if identity is None:
            raise self._unknown(connection)
        if scope is not None and not identity.may(scope):
            raise Forbidden("scope_missing", f"token {identity.name} does not grant {scope}")
        return identity

    def check_host(self, connection: HTTPConnection) -> None:
        """Refuse what does not come from this machine, where only that is served; see `stream.server.access.origins`.

        Raises:
            Refused: it was sent to another host name than ours, or by way of a proxy.
        """
        if not self._loopback_only or connection.scope.get("behind_proxy"):
            return
        if self.tokens is None and any(name in connection.headers for name in _OF_PROXIES):
            raise Forbidden(
                "behind_a_proxy",
                "this station serves its own machine, and a proxy brings others: give --token-file and --trust-proxy",
            )
        place = self._place(connection)
        if place is None or not (is_loopback(place[1]) or place in self._allowed):
            raise Refused(
                "wrong_host",
                "this station serves its own machine; call it 127.0.0.1 or localhost",
                status=421,
            )

    def check_origin(self, connection: HTTPConnection) -> None:
        """Refuse what a page of another origin asks. Programs other than browsers send no origin.

        Raises:
            Forbidden: the page is neither of this station nor allowed.
        """
        origin = connection.headers.get("origin")
        if origin is not None and not origin_is_ours(origin, self._place(connection), self._allowed):
            raise Forbidden(
                "wrong_origin", "pages of this origin may not use the station; allow it with --allow-origin"
            )

    def _place(self, connection: HTTPConnection) -> tuple[str, str, int] | None:
        hosts = connection.headers.getlist("host")
        return request_place(connection.scope["scheme"], hosts[0]) if len(hosts) == 1 else None

    def _unknown(self, connection: HTTPConnection) -> Refused:
        address = connection.client.host if connection.client else ""
        wait = self._failures.add(address)
        if wait:
            headers = {"Retry-After": str(wait)}
            return Unauthorised(
                "too_many_failures", f"too many wrong tokens; wait {wait} s", status=429, headers=headers
            )
        log.warning("a wrong token from %s", address or "an unknown address")
        return Unauthorised("wrong_token", "this token is not known; ask who runs the station for one")
