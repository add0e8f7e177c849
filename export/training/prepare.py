"""From a TrainConfig to samplers: read, split, compute features, augment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from export.augmentation.features import FeatureAugmentation
from export.augmentation.mel import MelAugmentation, mel_spec
from export.augmentation.waveform import Noise, WaveformAugmentation
from export.data.cache import FeatureStore, build_store, load_audio
from export.data.recording import SPLITS, Dataset, Recording, Split, files_digest
from export.models import ModelConfig, preset
from export.training.config import TrainConfig
from export.training.sampler import Sampler
from export.training.scene_data import SceneData, scene_data
from export.training.start import check_start
from export.training.targets import RecordingTargets
from stream.errors import DataError
from stream.features.spec import MfccSpec
from stream.inference.card import Activation

BACKGROUND_CLASS = "background"  # of composed streams
SILENCE_CLASS = "_silence_"  # of Speech Commands, whose background noise is a class
_BACKGROUND_NAMES = {
    "background",
    "_background_",
    "_background_noise_",
    "_silence_",
    "silence",
    "none",
    "_none_",
}
MAX_BACKGROUND_SECONDS = 60.0  # of each background recording kept in memory for augmentation

Progress = Callable[[str, int, int], None]
"""(what, done, all)"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data ready for ``fit``.

    Attributes:
        data: with splits and, after the data's own classes, the background class.
        model: shape of the network.
        activation: as decided.
        train, validation, test: None where the split is empty.
        background_class: the class of gaps, or None.
        skipped: recordings left out: file and row, reason.
        scenes: what streams are composed of; None where recordings are laid end to end.
    """

    data: Dataset
    model: ModelConfig
    activation: Activation
    train: Sampler
    validation: Sampler | None
    test: Sampler | None
    background_class: str | None
    skipped: tuple[tuple[str, str], ...]
    scenes: SceneData | None

    def class_weight(self) -> torch.Tensor:
        """(C,) float32, inverse frequency in training, mean 1; 1 for the background class."""
        count = Counter(label for r in self.data.part("train") for label in r.labels)
        raw = np.array([1 / count[label] if count[label] else 0 for label in self.data.labels])
        raw /= raw[raw > 0].mean()
        raw[raw == 0] = 1
        return torch.from_numpy(raw.astype(np.float32))


def prepare(
    config: TrainConfig,
    data: Dataset,
    progress: Progress | None = None,
    known: SceneData | None = None,
) -> Prepared:
    """Features and samplers of a split data set.

    Args:
        config: what was asked for.
        data: split.
        progress: told (what, done, total).
        known: what other preparations of the same recordings found out: what the classes are, and what validation
            and test hear. None = found out now.

    Raises:
        DataError: see ``read_dataset``, ``split_dataset``, ``build_store``, ``RecordingTargets``.
        SpecError: see ``check_start``.
    """
    check_start(config)
    data, left_out = _heard_classes(config, data, progress)
    activation: Activation
    activation = (
        ("sigmoid" if data.multi_label else "softmax") if config.activation == "auto" else config.activation
    )
    composing = config.compose and config.streams.carry
    background_class = config.streams.background_class
    if background_class is None and activation == "softmax":
        named = next((label for label in data.labels if label.lower() in _BACKGROUND_NAMES), None)
        if composing:
            background_class = named or BACKGROUND_CLASS
        elif data.backgrounds and config.background is None:
            background_class = SILENCE_CLASS
    if background_class is not None and background_class not in data.labels:
        data = replace(data, labels=(*data.labels, background_class))
    _check_several_classes(config, data)
    model = preset(
        config.model, features=config.features.width, classes=len(data.labels), **config.model_changes
    )
    builder = _SamplerBuilder(config, data, activation, background_class, model.stride, progress)
    train = builder.build("train")
    if train is None:
        raise DataError(f"{config.data}: nothing is left for training; choose other folds or groups")
    validation, test = builder.build("validation"), builder.build("test")
    scenes = None
    if composing:
        own = [label for label in data.labels if label != background_class]
        scenes = scene_data(config, data, own, builder.backgrounds, progress, known)
    return Prepared(
        data,
        model,
        activation,
        train,
        validation,
        test,
        background_class,
        (*left_out, *builder.skipped),
        scenes,
    )


def _check_several_classes(config: TrainConfig, data: Dataset) -> None:
    """DataError if there is one class only and nothing it could be told apart from."""
    only = data.labels[0]
    if config.compose and config.streams.carry and config.activation != "softmax":
        return
    if len(data.labels) == 1 and all(r.events is None and r.labels for r in data.recordings):
        raise DataError(
            f"{config.data}: {only} is the only class, so there is nothing to tell it apart from; "
            "add a folder of other sound, or name the class of gaps with --background-class"
        )


def _heard_classes(
    config: TrainConfig, data: Dataset, progress: Progress | None
) -> tuple[Dataset, list[tuple[str, str]]]:
    """``data`` without classes of which no frame can be had, and the recordings that this leaves out, with reasons.

    Raises:
        DataError: such a class was asked for with --labels, or only other splits than training have frames of it.
    """
    heard: Counter[str] = Counter()
    trained: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    for split in SPLITS:
        recordings = data.part(split)
        if not recordings:
            continue
        in_mel = split == "train" and config.augment.in_mel
        store = build_store(
            recordings,
            mel_spec(config.features) if in_mel else config.features,
            cache=None if config.cache is None else Path(config.cache),
            strict=config.strict,
            progress=None if progress is None else partial(progress, f"features of {split}"),
        )
        reasons.update(store.skipped)
        for i, recording in enumerate(recordings):
            for label in recording.labels:
                heard[label] += store.frames(i)
                if split == "train":
                    trained[label] += store.frames(i)
    silent = {label for recording in data.recordings for label in recording.labels if not trained[label]}
    if not silent:
        return data, []
    for label in sorted(silent):
        first = next(r for r in data.recordings if label in r.labels)
        reason = reasons.get(first.where, "no frame")
        if heard[label] or config.labels is not None:
            raise DataError(
                f"class {label}: training has not one frame of it ({first.where}: {reason}); "
                "add recordings that can be decoded, or leave the class out"
            )
    kept = tuple(r for r in data.recordings if not silent.intersection(r.labels))
    left_out = [
        (r.where, reasons.get(r.where, "its class has no frame"))
        for r in data.recordings
        if silent.intersection(r.labels)
    ]
    labels = tuple(label for label in data.labels if label not in silent)
    return replace(data, recordings=kept, labels=labels), left_out


def coloured_noise(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """(n,) float32 noise with a spectrum between white and brown, for data without backgrounds."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, n)
    scaled: NDArray[np.float32] = (noise / max(float(np.abs(noise).max()), 1e-9)).astype(np.float32)
    return scaled


class BackgroundPool:
    """Excerpts of background recordings, held as 16-bit samples. A ``Noise``."""

    def __init__(self, backgrounds: Sequence[Recording], config: TrainConfig) -> None:
        most = round(MAX_BACKGROUND_SECONDS * config.features.sample_rate)
        self.sounds = [
            (np.nan_to_num(load_audio(each, config.features)[:most]) * 32767).astype(np.int16)
            for each in backgrounds
        ]

    def __call__(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        sound = self.sounds[int(rng.integers(len(self.sounds)))]
        at = int(rng.integers(0, max(1, len(sound) - n)))
        taken: NDArray[np.float32] = np.resize(sound[at : at + n], n).astype(np.float32) / np.float32(32767)
        return taken


class _SamplerBuilder:
    """Builds the samplers of the three splits from one configuration."""

    def __init__(
        self,
        config: TrainConfig,
        data: Dataset,
        activation: Activation,
        background_class: str | None,
        stride: int,
        progress: Progress | None,
    ) -> None:
        self.config, self.data, self.activation, self.stride = config, data, activation, stride
        self.progress = progress
        self.skipped: list[tuple[str, str]] = []
        self.streams = msgspec.structs.replace(config.streams, background_class=background_class)
        backgrounds = [Recording(path, "background", path.name, ()) for path in data.backgrounds]
        # Validation has backgrounds of its own where there are enough.
        held_out = backgrounds[::5] if len(backgrounds) >= 5 else backgrounds
        trained = [each for each in backgrounds if each not in held_out] or backgrounds
        self.backgrounds: dict[Split, list[Recording]] = {
            "train": trained,
            "validation": held_out,
            "test": held_out,
        }

    def build(self, split: Split) -> Sampler | None:
        recordings = self.data.part(split)
        if not recordings:
            return None
        backgrounds, config = self.backgrounds[split], self.config
        training = split == "train"
        in_mel = training and config.augment.in_mel
        spec = mel_spec(config.features) if in_mel else config.features
        stores = [self._store(recordings, f"features of {split}", spec)]
        self.skipped += stores[0].skipped
        if training:
            stores += self._variants(recordings, backgrounds, spec)
        augmentation = (MelAugmentation if in_mel else FeatureAugmentation)(config.augment, config.features)
        return Sampler(
            stores,
            RecordingTargets(recordings, self.data.labels, self.activation, config.where),
            self.streams if training else msgspec.structs.replace(self.streams, balance=0.0),
            self._store(backgrounds, f"backgrounds of {split}", spec) if backgrounds else None,
            augmentation if training else None,
            self.stride,
            config.fit.seed,
        )

    def _variants(
        self, recordings: Sequence[Recording], backgrounds: Sequence[Recording], spec: MfccSpec
    ) -> list[FeatureStore]:
        augment, rate = self.config.augment, self.config.features.sample_rate
        if not augment.copies:
            return []
        noise: Noise = BackgroundPool(backgrounds, self.config) if backgrounds else coloured_noise
        digest = files_digest(each.path for each in backgrounds)
        return [
            self._store(
                recordings,
                f"variant {variant} of {augment.copies}",
                spec,
                WaveformAugmentation(augment, variant, rate, noise),
                augment.waveform_digest(variant) + digest,
            )
            for variant in range(1, augment.copies + 1)
        ]

    def _store(
        self,
        recordings: Sequence[Recording],
        what: str,
        spec: MfccSpec,
        augmentation: WaveformAugmentation | None = None,
        digest: str = "",
    ) -> FeatureStore:
        progress = self.progress
        return build_store(
            recordings,
            spec,
            cache=None if self.config.cache is None else Path(self.config.cache),
            augmentation=augmentation,
            augmentation_digest=digest,
            strict=self.config.strict,
            progress=None if progress is None else lambda done, total: progress(what, done, total),
        )


def fitted_statistics(sampler: Sampler, max_frames: int = 400_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (F,) float32 of a sampler's features, of about ``max_frames`` frames at most."""
    store = sampler.stores[0]
    step = max(1, len(store.features) // max_frames)
    taken = store.features[::step]
    if isinstance(sampler.augmentation, MelAugmentation):
        taken = sampler.augmentation.convert(taken)
    some = np.asarray(taken, dtype=np.float64)
    return torch.from_numpy(some.mean(0).astype(np.float32)), torch.from_numpy(some.std(0).astype(np.float32))
