"""What a network is measured on, and what it gives there: in composed streams, or recordings laid end to end."""

from __future__ import annotations

from torch import nn

from export.data.recording import Split
from export.scenes.compose import Composer
from export.training.config import TrainConfig
from export.training.heard_validation import HeardValidation
from export.training.loop import Validate
from export.training.prepare import Prepared
from export.training.sampler import Sampler
from export.training.validation import RecordingScores, figures, score

OWN_MINUTES = 40.0  # of streams of the recordings of a part, at most


def validations(config: TrainConfig, ready: Prepared) -> dict[str, HeardValidation | None]:
    """How the validation and the test part are heard: in composed streams, or None = laid end to end."""
    scenes = ready.scenes
    if scenes is None:
        return {"validation": None, "test": None}

    def heard(composer: Composer | None) -> HeardValidation | None:
        if composer is None:
            return None
        return HeardValidation(
            composer, ready.data.labels, ready.activation, ready.background_class, config.where,
            config.features, ready.train.stride, OWN_MINUTES, config.fit.seed,
        )  # fmt: skip

    return {"validation": heard(scenes.judge), "test": heard(scenes.test)}


def validator(sampler: Sampler, heard: HeardValidation | None = None) -> Validate:
    """A validation callback that returns ``validation_figures``."""

    def validate(model: nn.Module) -> dict[str, float]:
        return validation_figures(model, sampler, heard)

    return validate


def scored(model: nn.Module, sampler: Sampler, heard: HeardValidation | None) -> RecordingScores:
    """Scores with carried state, in composed streams where there are some."""
    return score(model, sampler, carried=True) if heard is None else heard.score(model)


def validation_figures(
    model: nn.Module, sampler: Sampler, heard: HeardValidation | None = None
) -> dict[str, float]:
    """Figures with carried state and, as ``*_alone``, the main one with each recording from the initial state.

    Args:
        model: in eval mode.
        sampler: of the recordings.
        heard: streams composed of the same recordings, through which the state is carried; None = laid end to end.
    """
    carried = figures(scored(model, sampler, heard), sampler)
    alone = figures(score(model, sampler, carried=False), sampler)
    main = "accuracy" if "accuracy" in carried else "f1"
    return {**carried, f"{main}_alone": alone[main]}


def measure(
    model: nn.Module, sampler: Sampler | None, heard: HeardValidation | None, part: Split
) -> dict[str, float]:
    """Figures of the finished model for a part of the data, as ``validation_accuracy``; none where it is empty."""
    if sampler is None:
        return {}
    return {f"{part}_{name}": value for name, value in validation_figures(model, sampler, heard).items()}
