"""Served: what the HTTP part needs of a station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from stream.inference.session import Model


class ServedModel(Protocol):
    """A model and all that run on it."""

    @property
    def model(self) -> Model:
        """What is run."""
        ...


class Served(Protocol):
    """A station, as `stream.server.http.app.make_app` takes it."""

    @property
    def pools(self) -> Mapping[str, ServedModel]:
        """Models by the names that clients use; the first is the default. Never empty."""
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
