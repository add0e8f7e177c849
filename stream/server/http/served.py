"""Served: what the HTTP part needs of a station."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from stream.server.hub import Hub
from stream.server.pool import AnyPool


class Served(Protocol):
    """A station, as `stream.server.http.app.make_app` takes it."""

    @property
    def pools(self) -> Mapping[str, AnyPool]:
        """Pools by the names that clients use for their models; the first is the default. Never empty."""
        ...

    @property
    def pools_of(self) -> Mapping[str, Sequence[AnyPool]]:
        """Every pool by the name of its model, those of the station's own sources too."""
        ...

    @property
    def hub(self) -> Hub:
        """What the station's own sources say."""
        ...

    def start(self) -> None:
        """Begin to listen. Called once, in a thread."""
        ...

    def drain(self) -> None:
        """The end has begun: end the station's own sources. Streams from outside go on. Called in a thread."""
        ...

    def close(self) -> None:
        """End all events, close sources and outputs. Called in a thread."""
        ...
