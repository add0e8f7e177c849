"""Composed streams for training and for calibration, from a configuration and a split data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.augmentation.features import FeatureAugmentation
from export.data.cache import load_audio
from export.data.recording import Dataset, Recording, Split
from export.scenes.compose import Composer
from export.scenes.kinds import ClassKinds, class_kinds
from export.scenes.material import Material
from export.scenes.negatives import Negatives
from export.scenes.scene_config import SceneConfig
from export.scenes.sound_store import load_sounds
from export.training.config import TrainConfig
from export.training.sampler import Sampler
from export.training.scene_epochs import SceneBatches
from stream.inference.card import Activation

MAX_BACKGROUND_SECONDS = 120.0  # of each of the user's recordings of no class
LOOPS = 12  # of each kind of synthetic sound that training draws from
Progress = Callable[[str, int, int], None]

# What streams for calibration are like: what people will listen to, not the worst that a network should survive.
HEARD = {
    "pause": (0.3, 3.0), "level": (-40.0, -9.0), "snr": (6.0, 30.0), "noise": 0.4, "speed": 0.0, "tilt": 2.0,
    "rt60": (0.1, 0.5), "narrow": 0.0, "empty": 0.0,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SceneData:
    """Everything that streams are composed of.

    Attributes:
        train: of the training recordings.
        judge: of the validation recordings (training where there are none), as they will be heard.
        test: the same of the test recordings; None where there are none.
        kinds: what the classes are.
    """

    train: Composer
    judge: Composer
    test: Composer | None
    kinds: ClassKinds


def scene_data(
    config: TrainConfig,
    data: Dataset,
    labels: Sequence[str],
    backgrounds: dict[Split, list[Recording]],
    progress: Progress | None = None,
    known: SceneData | None = None,
) -> SceneData:
    """Decode the recordings and decide what is no class.

    Args:
        config: what was asked for.
        data: split.
        labels: the classes of the data, without a background class.
        backgrounds: recordings of no class, by split.
        progress: told (what, done, total).
        known: of other recordings of the same classes: only training is composed anew.
    """

    def composer(part: Split, source: Split, scenes: SceneConfig, kinds: ClassKinds | None) -> Composer:
        recordings = data.part(source)
        what = f"sound of {source}"
        sounds = load_sounds(
            recordings, config.features, progress=None if progress is None else partial(progress, what)
        )
        of_classes = class_kinds(sounds, recordings, labels, config.fit.seed) if kinds is None else kinds
        material = Material(
            Negatives(
                part, config.features.sample_rate, without=labels, loops=LOOPS if part == "train" else 0
            ),
            sounds,
            of_classes.allowed,
            of_classes.words,
            _load(backgrounds[part], config),
        )
        found.append(of_classes)
        return Composer(sounds, recordings, material, scenes, config.fit.seed)

    found: list[ClassKinds] = []
    if known is not None:
        return replace(known, train=composer("train", "train", config.scenes, known.kinds))
    train = composer("train", "train", config.scenes, None)
    judged: Split = "validation" if data.part("validation") else "train"
    as_heard = msgspec.structs.replace(config.scenes, **HEARD)
    judge = composer("validation", judged, as_heard, found[0])
    test = composer("test", "test", as_heard, found[0]) if data.part("test") else None
    return SceneData(train, judge, test, found[0])


def scene_batches(
    config: TrainConfig,
    composer: Composer,
    sampler: Sampler,
    background: str | None,
) -> SceneBatches:
    """The batches that ``fit`` learns from."""
    augmentation = sampler.augmentation
    activation: Activation = sampler.targets.activation
    if isinstance(augmentation, FeatureAugmentation) and not config.augment.in_mel:
        # The level is drawn in the sound, where noise and silence keep theirs.
        augmentation = type(augmentation)(
            msgspec.structs.replace(config.augment, gain=0.0, tilt=0.0), config.features
        )
    order = replace(sampler)  # the recordings as the settings of the sampler draw them
    return SceneBatches(
        composer, order.draw_epoch, sampler.targets.labels, activation, background, config.where,
        config.features, augmentation, sampler.stride, config.streams.rows or 16, config.streams.frames,
        config.fit.seed,
    )  # fmt: skip


def _load(recordings: Sequence[Recording], config: TrainConfig) -> list[NDArray[np.float32]]:
    """The user's recordings of no class; DataError naming the first that cannot be read."""
    most = round(MAX_BACKGROUND_SECONDS * config.features.sample_rate)
    return [np.nan_to_num(load_audio(each, config.features)[:most]) for each in recordings]
