"""Streams of sound that is no class: speech, music, noise and silence, to count false alarms on and to train with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Split

Kind = Literal["speech", "music", "noise", "silence"]
KINDS: tuple[Kind, ...] = ("speech", "music", "noise", "silence")


@dataclass(frozen=True, eq=False, slots=True)
class NegativeStream:
    """Sound without any event.

    Attributes:
        kind: what it is.
        samples: (n,) float32, full scale is 1.
    """

    kind: Kind
    samples: NDArray[np.float32]


def negative_streams(
    part: Split,
    sample_rate: int,
    seconds: float,
    *,
    kinds: Sequence[Kind] = KINDS,
    seed: int = 0,
    without: Sequence[str] = (),
) -> list[NegativeStream]:
    """One stream of ``seconds`` of each kind, the same for the same arguments.

    Args:
        part: which sources it is made of; the three parts share none.
        sample_rate: Hz.
        seconds: length of each stream.
        kinds: which.
        seed: of every draw.
        without: names of classes; what may be one of them is left out.
    """
    n = round(seconds * sample_rate)
    made = []
    for kind in kinds:
        rng = np.random.default_rng((seed, KINDS.index(kind), ("train", "validation", "test").index(part)))
        level = 0.0 if kind == "silence" else 10 ** (rng.uniform(-60, -20) / 20)
        made.append(NegativeStream(kind, (rng.normal(0, 1, n) * level).astype(np.float32)))
    return made


class Negatives:
    """Draws sound that is no class, from the sources of one part.

    Args:
        part: which sources; the three parts share none.
        sample_rate: Hz.
        without: names of classes; what may be one of them is left out.
    """

    def __init__(self, part: Split, sample_rate: int, without: Sequence[str] = ()) -> None:
        self.part, self.sample_rate = part, sample_rate

    def draw(self, kind: Kind, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        """(n,) float32 of ``kind``."""
        level = 10 ** (rng.uniform(-90, -60 if kind == "silence" else -20) / 20)
        return (rng.normal(0, 1, n) * level).astype(np.float32)
