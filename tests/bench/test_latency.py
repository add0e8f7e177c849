"""The latency benchmark finds every burst, and its parts add up to the whole delay. No time is asserted."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from stream import StreamClassifier
from stream.inference.session import Model
from tests.benchmarks.latency import PARTS, measure
from tests.benchmarks.level import SAMPLE_RATE, bursts, level_model
from tests.support.pulse import PulseServer


def test_each_burst_is_one_onset_soon_after_it_began() -> None:
    sound, begins = bursts(12, 1.0)
    result = StreamClassifier(Model(level_model(), provider="cpu")).push(sound)
    decided = [event.decided for event in result.events if event.offset is None]
    assert len(decided) == 12
    late = np.array(decided) - begins
    assert late.min() > 0
    assert late.max() < 0.03 * SAMPLE_RATE
    assert len(set((begins % 160).tolist())) > 8  # hops begin anywhere in a burst


@pytest.mark.pulse
def test_the_parts_add_up_to_the_delay_from_sound_to_line(virtual_mic: PulseServer) -> None:
    with tempfile.TemporaryDirectory(prefix="mic-") as folder:
        found = measure(virtual_mic, Path(folder), 10, lead=4.0)
    assert len(found.own) >= 8  # a starved machine may lose a block
    assert (found.parts[:, : PARTS.index("line")] > 0).all()  # no part went unnoticed
    assert found.own.min() > 0
    assert found.own.max() < 0.03  # places were found to the sample: it is the detector's delay
    assert "sound to line" in found.table()
