"""What a recipe shows of its training: a line on stderr after every pass."""

from __future__ import annotations

import sys
from collections.abc import Callable


class PassReport:
    """Loss and figures of validation after every pass; a star where it is the best so far.

    Args:
        name: of the network, as several may be training at once.
        shows: which figures of validation, by their names.
    """

    def __init__(self, name: str, shows: Callable[[str], bool]) -> None:
        self.name, self.passes, self._shows = name, 0, shows

    def start_run(self, what: str, later: int) -> None:
        pass

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        self.passes = epochs

    def step(self, loss: float) -> None:
        pass

    def end_epoch(self, record: dict[str, float], best: bool) -> None:
        names = {key: key.removeprefix("val_") for key in record if key.startswith("val_")}
        figures = "  ".join(f"{name} {record[key]:.3f}" for key, name in names.items() if self._shows(name))
        turn = f"pass {int(record['epoch']) + 1} of {self.passes}"
        score = f"loss {record['loss']:.4f}  score {record['val_score']:.4f}{'*' if best else ' '}"
        print(f"{self.name}  {turn}  {score}  {figures}", file=sys.stderr, flush=True)
