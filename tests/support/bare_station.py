"""A station that only has models."""

from __future__ import annotations

from stream.inference.session import Model
from stream.server.station import Station
from tests.support.stations import hasty


class BareStation(Station):
    """Without sources: for streams and recordings from outside."""

    def __init__(self, *models: Model, workers: int = 0) -> None:
        named = {model.card.name: model for model in models}

        def load(name: str, provider: str) -> Model:
            return named[name]

        super().__init__(
            models=named, load=load, patience=hasty, max_streams=4, deadline=0.002, workers=workers
        )
