"""From a TrainConfig to sources of batches: read, split, compute features, vary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from export.augmentation.features import FeatureAugmentation
from export.augmentation.mel import MelAugmentation, mel_spec
from export.augmentation.waveform import Noise, WaveformAugmentation
from export.data.cache import FeatureStore, build_store, load_audio
from export.data.dataset import read_dataset
from export.data.layout import audio_files
from export.data.recording import Dataset, Recording, Split, files_digest
from export.data.splits import split_dataset
from export.models import ModelConfig, preset
from export.training.config import TrainConfig
from export.training.loss import Activation
from export.training.sampler import Sampler
from export.training.targets import RecordingTargets
from stream.errors import DataError
from stream.features.spec import MfccSpec

SILENCE = "_silence_"
BED = 60.0  # seconds of each background kept in memory for mixing

Progress = Callable[[str, int, int], None]
"""(what, done, all)"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data ready for ``fit``.

    Attributes:
        data: with splits and, after the data's own classes, the class of gaps.
        model: shape of the network.
        activation: decided.
        train, validation, test: sources; None where the split is empty.
        quiet: the class of gaps, or None.
        skipped: recordings left out: file and row, reason.
    """

    data: Dataset
    model: ModelConfig
    activation: Activation
    train: Sampler
    validation: Sampler | None
    test: Sampler | None
    quiet: str | None
    skipped: tuple[tuple[str, str], ...]

    def class_weight(self) -> torch.Tensor:
        """(C,) float32, inverse frequency in training, mean 1; 1 for the class of gaps."""
        count = Counter(label for r in self.data.part("train") for label in r.labels)
        raw = np.array([1 / count[label] if count[label] else 0 for label in self.data.labels])
        raw /= raw[raw > 0].mean()
        raw[raw == 0] = 1
        return torch.from_numpy(raw.astype(np.float32))


def open_data(config: TrainConfig) -> Dataset:
    """The data set of a configuration, split."""
    data = read_dataset(config.data, config.labels, unknown=config.unknown)
    if config.background is not None:
        beds = audio_files(Path(config.background))
        if not beds:
            raise DataError(f"{config.background}: no audio file for the background; choose another folder")
        data = replace(data, backgrounds=tuple(beds))
    return split_dataset(data, config.plan)


def prepare(config: TrainConfig, data: Dataset, progress: Progress | None = None) -> Prepared:
    """Features and sources of a split data set.

    Raises:
        DataError: see ``read_dataset``, ``split_dataset``, ``build_store``, ``RecordingTargets``.
    """
    activation: Activation
    activation = (
        ("sigmoid" if data.multi_label else "softmax") if config.activation == "auto" else config.activation
    )
    quiet = config.streams.quiet
    if quiet is None and data.backgrounds and config.background is None and activation == "softmax":
        quiet = SILENCE  # Speech Commands: its background noise is a class
    if quiet is not None and quiet not in data.labels:
        data = replace(data, labels=(*data.labels, quiet))
    model = preset(
        config.model, features=config.features.width, classes=len(data.labels), **config.model_changes
    )
    maker = _Maker(config, data, activation, quiet, model.stride, progress)
    train = maker.source("train")
    if train is None:
        raise DataError(f"{config.data}: nothing is left for training; choose other folds or groups")
    validation, test = maker.source("validation"), maker.source("test")
    return Prepared(data, model, activation, train, validation, test, quiet, tuple(maker.skipped))


def coloured_noise(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """(n,) float32 noise with a spectrum between white and brown, for data without backgrounds."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, n)
    scaled: NDArray[np.float32] = (noise / max(float(np.abs(noise).max()), 1e-9)).astype(np.float32)
    return scaled


class BackgroundPool:
    """Stretches of background recordings, held as 16-bit samples. A ``Noise``."""

    def __init__(self, beds: Sequence[Recording], config: TrainConfig) -> None:
        most = round(BED * config.features.sample_rate)
        self.beds = [
            (np.nan_to_num(load_audio(bed, config.features)[:most]) * 32767).astype(np.int16) for bed in beds
        ]

    def __call__(self, rng: np.random.Generator, n: int) -> NDArray[np.float32]:
        bed = self.beds[int(rng.integers(len(self.beds)))]
        at = int(rng.integers(0, max(1, len(bed) - n)))
        taken: NDArray[np.float32] = np.resize(bed[at : at + n], n).astype(np.float32) / np.float32(32767)
        return taken


class _Maker:
    """Builds the sources of the three splits from one configuration."""

    def __init__(
        self, config: TrainConfig, data: Dataset, activation: Activation, quiet: str | None, stride: int,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        self.config, self.data, self.activation, self.stride = config, data, activation, stride
        self.progress = progress
        self.skipped: list[tuple[str, str]] = []
        self.plan = msgspec.structs.replace(config.streams, quiet=quiet)
        beds = [Recording(path, "background", path.name, ()) for path in data.backgrounds]
        held_out = beds[::5] if len(beds) >= 5 else beds  # validation hears other backgrounds where it can
        trained = [bed for bed in beds if bed not in held_out] or beds
        self.beds: dict[Split, list[Recording]] = {"train": trained, "validation": held_out, "test": held_out}

    def source(self, split: Split) -> Sampler | None:
        recordings = self.data.part(split)
        if not recordings:
            return None
        beds, config = self.beds[split], self.config
        training = split == "train"
        in_mel = training and config.augment.in_mel
        spec = mel_spec(config.features) if in_mel else config.features
        stores = [self._store(recordings, f"features of {split}", spec)]
        self.skipped += stores[0].skipped
        if training:
            stores += self._variants(recordings, beds, spec)
        change = (MelAugmentation if in_mel else FeatureAugmentation)(config.augment, config.features)
        return Sampler(
            stores,
            RecordingTargets(recordings, self.data.labels, self.activation, config.where),
            self.plan if training else msgspec.structs.replace(self.plan, even=0.0),
            self._store(beds, f"backgrounds of {split}", spec) if beds else None,
            change if training else None,
            self.stride,
            config.fit.seed,
        )

    def _variants(
        self, recordings: Sequence[Recording], beds: Sequence[Recording], spec: MfccSpec
    ) -> list[FeatureStore]:
        augment, rate = self.config.augment, self.config.features.sample_rate
        if not augment.copies:
            return []
        noise: Noise = BackgroundPool(beds, self.config) if beds else coloured_noise
        digest = files_digest(bed.path for bed in beds)
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
        change: WaveformAugmentation | None = None,
        digest: str = "",
    ) -> FeatureStore:
        progress = self.progress
        return build_store(
            recordings,
            spec,
            cache=None if self.config.cache is None else Path(self.config.cache),
            change=change,
            change_digest=digest,
            strict=self.config.strict,
            progress=None if progress is None else lambda done, total: progress(what, done, total),
        )


def fitted_statistics(source: Sampler, most: int = 400_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (F,) float32 of a source's features, from at most ``most`` frames."""
    store = source.stores[0]
    step = max(1, len(store.features) // most)
    taken = store.features[::step]
    if isinstance(source.change, MelAugmentation):
        taken = source.change.finish(taken)
    some = np.asarray(taken, dtype=np.float64)
    return torch.from_numpy(some.mean(0).astype(np.float32)), torch.from_numpy(some.std(0).astype(np.float32))
