"""A station whose sources fail at random: every run as if it were alone, nothing lost, nothing left behind."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stream.inference.session import Model
from tests.benchmarks.station_soak import LOOKS, Figures, StationSoak
from tests.support.stations import toy_model

GROWTH_MIB = 8.0  # an allocator's ups and downs; a second of sound that each minute of a source left behind would be 30


def check(found: Figures, sources: int, before: int) -> None:
    assert found.unequal == []
    assert found.failed_starts > 0
    assert found.hub_events == found.history_events == found.events > 0
    assert found.history_runs == found.runs + found.failed_starts
    # A source has two threads, three files and what its outputs have, and one that ended may still be putting its
    # history away; the rest is the station's, or was there before.
    assert max(look.threads for look in found.looks) <= before + 5 * sources + 8
    first, last = found.looks[: LOOKS // 2], found.looks[LOOKS // 2 :]
    for low, high in ((first, last), (last, first)):
        assert max(look.descriptors for look in high) <= max(look.descriptors for look in low) + 4 * sources


def test_minutes_of_a_station_that_fails_at_random(tmp_path: Path) -> None:
    before = threading.active_count()  # other tests of this process may have left some to a library
    soak = StationSoak(toy_model(), hours=0.025, sources=4, seed=2, folder=tmp_path)
    check(soak.run(), sources=4, before=before)


@pytest.mark.long
def test_eight_hours_of_a_station_that_fails_at_random(tmp_path: Path) -> None:
    before = threading.active_count()
    soak = StationSoak(Model.bundled("small"), hours=8.0, sources=8, seed=3, folder=tmp_path)
    found = soak.run()
    check(found, sources=8, before=before)
    assert found.growth_mib < GROWTH_MIB
