"""Grouped, stratified folds: each fold has about the same number of recordings of each class, no group is divided."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from export.data.recording import Recording


def grouped_folds(recordings: Sequence[Recording], folds: int, seed: int = 0) -> list[int]:
    """Fold 0 to ``folds - 1`` of each recording.

    Groups are placed largest first (equal ones in an order drawn from ``seed``), each into the fold that has
    least of the group's classes so far, relative to how frequent these are.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for recording in recordings:
        counts[recording.group].update(recording.labels or ("",))
    total: Counter[str] = Counter()
    for count in counts.values():
        total.update(count)
    names = sorted(counts)
    order = np.random.default_rng(seed).permutation(len(names))
    ranked = sorted((names[i] for i in order), key=lambda name: -counts[name].total())
    filled: list[Counter[str]] = [Counter() for _ in range(folds)]
    placed: dict[str, int] = {}
    for name in ranked:
        count = counts[name]
        load = [sum(n * fold[label] / total[label] for label, n in count.items()) for fold in filled]
        size = [fold.total() for fold in filled]
        best = min(range(folds), key=lambda k: (load[k], size[k], k))
        placed[name] = best
        filled[best].update(count)
    return [placed[recording.group] for recording in recordings]
