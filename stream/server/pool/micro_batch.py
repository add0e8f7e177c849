"""MicroBatch: the model run for many rows of a state table at once."""

from __future__ import annotations

from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stream.inference.state_table import StateTable, run_blocks

# Streams in one call of the graph: enough to amortise it, and their states and frames stay in the second-level cache.
BLOCK_STREAMS = 64

Frames = NDArray[np.float32]
Probs = NDArray[np.float32]


class MicroBatch:
    """Runs the model of a table for some of its rows, each with frames of its own.

    Rows with the same number of frames go together, along the graph's batch axis. A row's probabilities do not depend
    on the rows beside it: that is proven of every model file.

    Args:
        table: of states, read and written.
    """

    def __init__(self, table: StateTable) -> None:
        self._table = table

    def run(self, asked: list[tuple[int, Frames]]) -> list[Probs | Exception]:
        """Advance rows.

        Args:
            asked: different rows, and frames (T, F) float32 for each, T a multiple of the card's stride.

        Returns:
            For each its (T / stride, C) float32, or the error that its frames raise even when they are run alone; the
            state of that row is then as it was.
        """
        answers: list[Probs | Exception] = [np.empty(0, np.float32)] * len(asked)
        places: dict[int, list[int]] = {}
        for place, (_, frames) in enumerate(asked):
            places.setdefault(len(frames), []).append(place)
        for same in places.values():
            left = iter(same)
            while block := list(islice(left, BLOCK_STREAMS)):
                self._run_block(asked, block, answers)
        return answers

    def _run_block(
        self, asked: list[tuple[int, Frames]], places: list[int], answers: list[Probs | Exception]
    ) -> None:
        rows = np.array([asked[place][0] for place in places], np.intp)
        try:
            together = np.concatenate([asked[place][1] for place in places])
            frames = together.reshape(len(places), -1, together.shape[1])
            probs, state = run_blocks(self._table.model, frames, self._table.rows_state(rows))
        except Exception as error:  # of whichever: each alone shows whose it is
            if len(places) == 1:
                answers[places[0]] = error
            else:
                for place in places:
                    self._run_block(asked, [place], answers)
            return
        self._table.set_rows_state(rows, state)
        for place, answer in zip(places, probs, strict=True):
            answers[place] = answer
