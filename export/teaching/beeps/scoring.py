"""Scoring: how well the last seconds are a beep. The same arithmetic as the graph of ``graph.py``, in NumPy.

In each frame a line is compared with what is beside it (``sounding``, 0 to 1: how loud the beep is does not matter),
and its level is kept. A group of pulses is then scored at the moment that it is over: the mean of ``sounding`` in its
pulses, less what speaks against it. That is a pulse that is missing (its level is far below the others', where
something louder would only hide it), and a gap that is filled by the same line as loudly. The best of some tempos
counts, and two groups, a cycle apart, make the beep.

Numbers are put on a grid before they are added up. Their sums are then exact, so they are the same in any order: whole
recordings and chunks of any size give equal bits.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from export.teaching.beeps.template import Span, Template

Array = NDArray[np.float32]
# Constants were fitted to nine beeps by logistic regression and rounded; no recording of an alarm was used.
QUIET_DB, LOUD_DB = 6.0, 14.0  # above what is beside a line: 0 and 1
MISSING_DB, MISSING_RANGE_DB = (
    5.0,
    6.0,
)  # below the other pulses: from where a pulse is missing, and after how much
FILLED_DB, FILLED_RANGE_DB = (
    7.0,
    5.0,
)  # below the pulses: from where a gap is not filled, and after how much it is
WORST_MISSING, MEAN_MISSING, WORST_FILLED = 0.6, 0.2, 0.5
BEFORE = -100.0  # dB, of what was before the first frame
NEVER = -2.0  # score of a group before the first frame
LEAST = 0.65  # score above which it is the beep; one that is nearly of its cadence has 0.5, itself 1
SLOPE = 15.0  # of the logit over the score
COARSE, FINE = (
    2.0**-10,
    2.0**-12,
)  # steps of the grids: of levels in dB, of which up to 64 are added, and of shares


def on_grid(values: Array, step: float) -> Array:
    """The nearest multiples of ``step``, a power of two."""
    rounded: Array = np.rint(values * np.float32(1 / step)) * np.float32(step)
    return rounded


def frame_values(features: Array, template: Template) -> tuple[Array, Array]:
    """(T,) ``sounding`` from 0 to 1, and (T,) the level in dB, of features (T, F)."""
    sounding, level = np.zeros(len(features), np.float32), np.zeros(len(features), np.float32)
    for (own, beside), weight in zip(template.bands, template.weights, strict=True):
        line = on_grid(features[:, own], COARSE).max(axis=1)
        around = on_grid(features[:, beside], COARSE).sum(axis=1) * np.float32(1 / len(beside))
        sounding += weight * on_grid(_share(line - around, -QUIET_DB, LOUD_DB - QUIET_DB), FINE)
        level += weight * line
    return sounding, on_grid(level, FINE)


def group_scores(features: Array, template: Template) -> Array:
    """(T,) how well a group has just ended, at most 1, of features (T, F)."""
    sounding, level = frame_values(features, template)
    best = np.full(len(features), -np.inf, np.float32)
    for pulses, gaps in zip(template.pulses, template.gaps, strict=True):
        loud, heard = _means(level, pulses, BEFORE, COARSE), _means(sounding, pulses, 0.0, FINE)
        between, filled = _means(level, gaps, BEFORE, COARSE), _means(sounding, gaps, 0.0, FINE)
        part = np.float32(1 / len(pulses))
        usual = loud.sum(axis=1, keepdims=True) * part
        missing = on_grid(_share(usual - loud, -MISSING_DB, MISSING_RANGE_DB), FINE)
        filled = filled * _share(between - usual, FILLED_DB, FILLED_RANGE_DB)
        score = heard.sum(axis=1) * part
        score -= missing.max(axis=1) * np.float32(WORST_MISSING)
        score -= missing.sum(axis=1) * np.float32(MEAN_MISSING / len(pulses))
        best = np.maximum(best, score - filled.max(axis=1) * np.float32(WORST_FILLED))
    return best


def scores(features: Array, template: Template) -> Array:
    """(T,) how well two groups have just ended, at most 1, of features (T, F)."""
    now = group_scores(features, template)
    least, most = template.back
    before = np.concatenate([np.full(most, NEVER, np.float32), now])
    then = sliding_window_view(before, most - least + 1)[: len(now)].max(axis=1)
    both: Array = np.minimum(now, then) * np.float32(0.5) + (now + then) * np.float32(0.25)
    return both


def probabilities(features: Array, template: Template, threshold: float) -> NDArray[np.float64]:
    """(T,) of features (T, F): the score of the last cycle, so that it stays through the pauses."""
    found = np.concatenate([np.full(template.hold, NEVER, np.float32), scores(features, template)])
    held = sliding_window_view(found, template.hold + 1).max(axis=1).astype(np.float64)
    odds: NDArray[np.float64] = 1 / (1 + np.exp(-SLOPE * (held - threshold)))
    return odds


def _share(values: Array, term: float, size: float) -> Array:
    """(values + term) / size, clipped to 0 to 1."""
    clipped: Array = np.clip((values + np.float32(term)) * np.float32(1 / size), np.float32(0), np.float32(1))
    return clipped


def _means(values: Array, spans: tuple[Span, ...], before: float, step: float) -> Array:
    """(T, spans) the mean of the frames of each span, counted back from each frame."""
    lead = max(span.first for span in spans) + 1
    sums = np.cumsum(np.concatenate([[0.0], np.full(lead, before), values]), dtype=np.float64)
    newest = np.arange(len(values)) + lead
    totals = [
        (sums[newest - span.last + 1] - sums[newest - span.first]).astype(np.float32)
        * np.float32(1 / span.length)
        for span in spans
    ]
    return on_grid(np.stack(totals, axis=1), step)
