"""The whole benchmark of one model: our own cases and those of peers, on the bundled recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.bench.cases import WHOLE_SECONDS, our_cases
from stream.bench.peers import HIDDEN_UNITS, peer_cases
from stream.bench.recordings import OTHER_SAMPLE_RATE, flac_cases
from stream.bench.timing import Case
from stream.capture.files import read_audio
from stream.inference.session import Model
from stream.installation import asset

SOUND_SECONDS = 20  # of the bundled recording, from which the hops are taken


def bench_sound(rate: int) -> NDArray[np.float32]:
    """(n,) float32 at ``rate`` Hz: speech, music and noise."""
    return read_audio(asset("demo.ogg"), rate)[: SOUND_SECONDS * rate]


def all_cases(
    model: Model, folder: Path, streams: Sequence[int], *, peers: bool = True, hidden: int = HIDDEN_UNITS
) -> tuple[list[Case], list[str]]:
    """Cases, and a line about each that is left out.

    Args:
        model: what to run.
        folder: for the recordings that are read; must live as long as the cases.
        streams: sizes of slabs.
        peers: also time other packages.
        hidden: units of the GRU that torch runs.
    """
    spec = model.card.features
    sound = bench_sound(spec.sample_rate)
    others, missing = peer_cases(spec, sound, hidden) if peers else ([], ["peers: not asked for"])
    sounds = {
        rate: np.resize(bench_sound(rate), round(WHOLE_SECONDS * rate))
        for rate in (spec.sample_rate, OTHER_SAMPLE_RATE)
    }
    return [*our_cases(model, sound, streams), *flac_cases(model, sounds, folder), *others], missing
