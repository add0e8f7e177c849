"""The whole bench for one model: every case of ours and of the peers, on the bundled recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.bench.cases import WHOLE, our_cases
from stream.bench.peers import HIDDEN, peer_cases
from stream.bench.recordings import OTHER_RATE, flac_cases
from stream.bench.timing import Case
from stream.capture.files import read_audio
from stream.features.spec import MfccSpec
from stream.inference.session import Model
from stream.installation import asset

SECONDS = 20  # of the recording that the hops are taken from


def bench_sound(rate: int) -> NDArray[np.float32]:
    """(n,) float32: speech, music and noise at any rate."""
    return read_audio(asset("demo.ogg"), rate)[: SECONDS * rate]


def all_cases(
    model: Model, folder: Path, streams: Sequence[int], *, peers: bool = True, hidden: int = HIDDEN
) -> tuple[list[Case], list[str]]:
    """Cases, and a word about each that is left out.

    Args:
        model: what to run.
        folder: for the recordings that are read; must live as long as the cases.
        streams: sizes of slabs.
        peers: also time other packages.
        hidden: units of the GRU that torch runs.
    """
    spec = model.card.features
    sound = bench_sound(spec.sample_rate)
    others, missing = list[Case](), ["peers: not asked for"]
    if peers and isinstance(spec, MfccSpec):
        others, missing = peer_cases(spec, sound, hidden)
    elif peers:
        missing = ["peers: they compute MFCC, which this model does not use"]
    sounds = {
        rate: np.resize(bench_sound(rate), round(WHOLE * rate)) for rate in (spec.sample_rate, OTHER_RATE)
    }
    return [*our_cases(model, sound, streams), *flac_cases(model, sounds, folder), *others], missing
