"""A station that only has models."""

from __future__ import annotations

from stream.inference.session import Model
from stream.server.pool import Pool


class BareStation:
    def __init__(self, *models: Model) -> None:
        self.pools = {model.card.name: Pool(model, max_streams=4) for model in models}
        self.said: list[str] = []

    def start(self) -> None:
        self.said.append("start")
        for pool in self.pools.values():
            pool.start()

    def drain(self) -> None:
        self.said.append("drain")

    def close(self) -> None:
        self.said.append("close")
        for pool in self.pools.values():
            pool.close()
