"""Loops of synthetic sound: seamless, the same whoever draws first, and shared."""

from __future__ import annotations

import numpy as np
import pytest

from export.scenes.loops import Loops, loops_of
from export.scenes.negatives import Negatives
from export.scenes.synthetic import NOISES, fast_length, hum, melody, self_noise

RATE = 8_000


def test_the_end_runs_into_the_beginning_without_a_click() -> None:
    """A hum's samples change slowly; a cut would make a step many times as large."""
    loops = Loops(hum, 1, 1.0, RATE, 3)
    sound = loops.draw(np.random.default_rng(0), 3 * RATE)
    assert np.array_equal(sound[:RATE], sound[RATE : 2 * RATE])
    steps = np.abs(np.diff(sound))
    assert steps.max() < 3 * np.quantile(steps, 0.99)


def test_which_loop_was_drawn_before_does_not_matter() -> None:
    one, other = (Loops(self_noise, 6, 0.5, RATE, 5) for _ in range(2))
    for seed in (9, 1, 4):
        one.draw(np.random.default_rng(seed), RATE)
    for seed in range(12):
        drawn = [each.draw(np.random.default_rng(seed), RATE) for each in (one, other)]
        np.testing.assert_array_equal(*drawn)
    assert (
        len({Loops(self_noise, 6, 0.5, RATE, s).draw(np.random.default_rng(1), 9).tobytes() for s in (1, 2)})
        == 2
    )


@pytest.mark.parametrize("make", [self_noise, melody, *NOISES])
def test_every_maker_can_be_looped(make: object) -> None:
    loops = loops_of(make, 2, 0.5, RATE, 1)  # type: ignore[arg-type]
    assert loops is loops_of(make, 2, 0.5, RATE, 1)  # type: ignore[arg-type]
    sound = loops.draw(np.random.default_rng(0), 3 * RATE)
    assert sound.shape == (3 * RATE,)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= 1


def test_training_draws_from_loops_and_validation_does_not() -> None:
    looped, fresh = Negatives("train", RATE, loops=1), Negatives("train", RATE)

    def pieces(negatives: Negatives) -> set[bytes]:
        """Every third sample of many draws, sorted: the same set for the same loop, wherever it begins."""
        rng = np.random.default_rng(2)
        return {np.sort(negatives.draw("music", rng, 12 * RATE)).tobytes() for _ in range(3)}

    assert len(pieces(fresh)) == 3
    first = looped.draw("music", np.random.default_rng(2), RATE)
    again = Negatives("train", RATE, loops=1).draw("music", np.random.default_rng(2), RATE)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("n", [2, 3, 8, 9, 1000, 96_160, 160_000, 2**17 + 1])
def test_a_fast_length_is_no_shorter_even_and_not_much_longer(n: int) -> None:
    size = fast_length(n)
    assert size >= n
    assert size % 2 == 0
    assert size <= max(4, 1.34 * n)
    for factor in (2, 3, 5):
        while size % factor == 0:
            size //= factor
    assert size == 1
