"""Member: what has a row in a pool, as the pool sees it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.float32]
Probs = NDArray[np.float32]


class Member(Protocol):
    """What has a row in a pool. The pool's thread calls these; an error that they meet is theirs to tell.

    Attributes:
        row: in the pool's state table.
    """

    row: int

    def begin(self) -> Frames | None:
        """Take up what waits. Frames (T, F) for the model, or None where there is nothing to run."""
        ...

    def go_on(self, probs: Probs | Exception) -> Frames | None:
        """Take the model's answer, (T / stride, C), or why there is none. More frames, or None."""
        ...

    def waits(self) -> bool:
        """Whether more waits, for the next batch. If not, the member calls the pool when it does."""
        ...

    def end(self, error: Exception) -> None:
        """The pool closes."""
        ...
