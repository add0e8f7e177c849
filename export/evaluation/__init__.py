"""Measuring a model on labelled recordings, with the live classifier and the live detector.

    predict.py      run the recordings: each alone, and all in one stream with carried state
    streams.py      what the live classifier heard, with truth and events
    other_sound.py  what it reports in sound that is no class
    detect.py       events of probabilities that are already computed
    evaluate.py     all figures of ``export.metrics`` that apply, as one report
    pictures.py     the report as pictures

There is no second detector here: events are those that ``stream-classify`` would have reported.
"""

from __future__ import annotations

from export.evaluation.evaluate import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
