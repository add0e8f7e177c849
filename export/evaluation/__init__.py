"""Measuring a model on labelled recordings, with the live classifier and the live detector.

    listen.py     run the recordings: each alone, and all in one stream with carried state
    clips.py      one label a recording: accuracy, per-class figures, ROC-AUC
    frames.py     strong labels, row by row and in segments
    events.py     strong labels, event by event: F1 with collars, false alarms, delay
    psds.py       polyphonic sound detection score
    evaluate.py   all that applies, as one report
    pictures.py   the report as pictures

There is no second detector here: events are those that ``stream-classify`` would have reported.
"""

from __future__ import annotations

from export.evaluation.evaluate import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
