"""TrainConfig: everything that decides a training run; kept in the run folder as config.json."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from export.augmentation.settings import AugmentConfig
from export.data.splits import SplitConfig
from export.scenes.scene_config import SceneConfig
from export.training.fit_config import FitConfig
from export.training.stream_config import StreamConfig
from export.training.targets import Where
from stream.errors import SpecError
from stream.features.spec import MfccSpec


class TrainConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training run.

    Attributes:
        data: folder or manifest, see ``read_dataset``.
        labels: classes in output order; None = all that are found.
        unknown: with ``labels``, the class that all other labels become.
        activation: "auto" = sigmoid if some recording has several labels, or strong labels; else softmax.
        model, model_changes: a preset's name and the fields that differ from it.
        features: the network's input.
        start: "speech" = the weights of a network that has learnt the sounds of speech from others, see
            ``export.training.start``; None = random ones.
        fit, augment, streams: see FitConfig (its activation is set from here), AugmentConfig, StreamConfig.
        compose: train on streams composed as they will be heard: pauses, levels, rooms, noise, and sound that is
            no class. False: recordings are laid end to end.
        scenes: of composed streams, see SceneConfig.
        false_alarms: false events an hour that the detector's rules are calibrated for; 0 = they are not.
        steps: at least this many optimiser steps in all: with little data an epoch goes through it several
            times. 0 = once an epoch.
        where: the frames a clip's label is learnt on, see ``export.training.targets``.
        background: folder of recordings of no class, for gaps and added noise. None = ``_background_noise_``.
        class_weights: weight the loss of each class by the inverse of its frequency.
        validation, test: percent drawn where the data does not say.
        validation_folds, test_folds, validation_groups, test_groups: splits by name.
        refit: train once more at the end, in the same way, on the recordings for training and validation together.
            The rules, the figures of validation and the number of epochs are those of the training before; false
            alarms are counted with the final weights. For data with few speakers or sources.
        strict: refuse unreadable audio instead of skipping it.
        cache: folder of feature stores; None = the user's cache folder.
    """

    data: str
    labels: tuple[str, ...] | None = None
    unknown: str | None = None
    activation: Literal["auto", "softmax", "sigmoid"] = "auto"
    model: str = "gru"
    model_changes: dict[str, Any] = {}
    features: MfccSpec = MfccSpec()
    start: Literal["speech"] | None = None
    fit: FitConfig = FitConfig()
    augment: AugmentConfig = AugmentConfig()
    streams: StreamConfig = StreamConfig()
    compose: bool = False
    scenes: SceneConfig = SceneConfig()
    false_alarms: float = 1.0
    steps: int = 0
    where: Where = "end"
    background: str | None = None
    class_weights: bool = False
    validation: float = 10.0
    test: float = 10.0
    validation_folds: tuple[str, ...] = ()
    test_folds: tuple[str, ...] = ()
    validation_groups: tuple[str, ...] = ()
    test_groups: tuple[str, ...] = ()
    refit: bool = False
    strict: bool = False
    cache: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.false_alarms <= 3600:
            raise SpecError(f"false_alarms {self.false_alarms:g}: must be 0 to 3600 an hour")
        if self.steps < 0:
            raise SpecError(f"steps {self.steps}: must not be negative")
        for name in ("validation", "test"):
            if not 0 <= getattr(self, name) < 100:
                raise SpecError(f"{name} {getattr(self, name):g}: is a percentage, 0 to below 100")

    @property
    def split(self) -> SplitConfig:
        """How the data set is divided."""
        return SplitConfig(
            self.validation, self.test, self.validation_folds, self.test_folds,
            self.validation_groups, self.test_groups,
        )  # fmt: skip


# Settings that had another name before 0.2; old config.json files and, for one release, old options still work.
RENAMED = {
    "augment.hiss": "augment.stationary_noise",
    "augment.thin": "augment.high_pass",
    "augment.under": "augment.mix",
    "balance": "class_weights",
    "streams.even": "streams.balance",
    "streams.fresh": "streams.reset",
    "streams.quiet": "streams.background_class",
}


def read_config(text: bytes) -> TrainConfig:
    """The TrainConfig in a config.json, old or new.

    Raises:
        SpecError: not such a file, or a value out of range.
    """
    try:
        values = msgspec.json.decode(text, type=dict[str, Any])
        for old, new in RENAMED.items():
            part, _, field = old.rpartition(".")
            fields = values.get(part) if part else values
            if isinstance(fields, dict) and field in fields:
                fields[new.rpartition(".")[2]] = fields.pop(field)
        return msgspec.convert(values, TrainConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SpecError(str(error)) from None
