"""What a model reports in sound that is no class."""

from __future__ import annotations

from typing import Any

from export.calibration.event_report import Heard
from export.evaluation.streams import Progress, hear, heard
from export.scenes.negatives import KINDS, Kind, negative_streams
from stream.classifier import StreamClassifier
from stream.decisions.spec import DetectorSpec
from stream.inference.session import Model


def negative_kinds(model: Model) -> tuple[Kind, ...]:
    """Kinds of sound that are none of the model's classes.

    The card says so (``provenance.negatives``); otherwise all but those that a class has the name of.
    """
    written: Any = model.card.provenance.get("negatives")
    if isinstance(written, list):
        return tuple(kind for kind in KINDS if kind in written)
    names = {label.casefold() for label in model.labels}
    return tuple(kind for kind in KINDS if kind not in names)


def hear_negatives(
    model: Model,
    detector: DetectorSpec,
    minutes: float,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Heard]:
    """Streams of each kind of sound that is no class, with the events that the live classifier reports in them.

    Args:
        model: what to run.
        detector: rules.
        minutes: of each kind; 0 = none.
        seed: of the sound, which is made of sources that no training has used.
        progress: told (what, done, total).
    """
    kinds = negative_kinds(model) if minutes else ()
    found: list[Heard] = []
    rate = model.card.features.sample_rate
    for number, kind in enumerate(kinds):  # one at a time: the samples of an hour take much memory
        if progress:
            progress("other sound", number, len(kinds))
        for stream in negative_streams(
            "test", rate, minutes * 60, kinds=(kind,), seed=seed, without=model.labels
        ):
            classifier = StreamClassifier(model, detector)
            result = hear(classifier, stream.samples)
            found.append(heard(result, len(stream.samples), (), kind, classifier))
    if progress and kinds:
        progress("other sound", len(kinds), len(kinds))
    return found
