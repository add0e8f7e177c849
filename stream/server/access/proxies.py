"""Forwarded headers: where a request came from, as a proxy says it, believed only of proxies that were named."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, MutableMapping
from typing import Any

from stream.errors import UsageError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The proxies that are trusted.

    Args:
        addresses: IP addresses or networks, such as "10.0.0.0/8".

    Raises:
        UsageError: one is neither.
    """

    def __init__(self, addresses: Iterable[str] = ()) -> None:
        self._networks: list[Network] = []
        for text in addresses:
            try:
                self._networks.append(ipaddress.ip_network(text.strip(), strict=False))
            except ValueError:
                raise UsageError(
                    f"proxy {text!r}: want an IP address or a network, such as 10.0.0.5 or 10.0.0.0/8"
                ) from None

    def trusts(self, address: str) -> bool:
        """Whether it is the address of one of them."""
        try:
            found = ipaddress.ip_address(address.strip().strip("[]").partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found.version == each.version and found in each for each in self._networks)

    def believe(self, scope: MutableMapping[str, Any]) -> None:
        """Put into a request's scope who asked whom, if it comes from a trusted proxy.

        The client is the last address of ``X-Forwarded-For`` that is not a trusted proxy's: those before it were
        written by somebody nobody knows. ``X-Forwarded-Host`` replaces ``Host``, ``X-Forwarded-Proto`` the scheme.
        """
        client = scope.get("client")
        if not self._networks or not client or not self.trusts(client[0]):
            return
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        told = {
            name: value.decode("latin-1").strip()
            for name, value in headers
            if name.startswith(b"x-forwarded-")
        }
        hops = [
            hop.strip()
            for name, value in headers
            if name == b"x-forwarded-for"
            for hop in value.decode("latin-1").split(",")
        ]
        for hop in reversed(hops):
            scope["client"] = (hop[:64], 0)
            if not self.trusts(hop):
                break
        proto = told.get(b"x-forwarded-proto", "")
        if proto in ("http", "https"):
            secure = proto == "https"
            names = ("wss", "ws") if scope["type"] == "websocket" else ("https", "http")
            scope["scheme"] = names[0] if secure else names[1]
        if host := told.get(b"x-forwarded-host", ""):
            rest = [(name, value) for name, value in headers if name != b"host"]
            scope["headers"] = [*rest, (b"host", host.encode("latin-1"))]
        scope["behind_proxy"] = True
