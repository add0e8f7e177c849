"""What can be said of a run before anything is computed: the data set, divided, and settings that fit together.

Nothing here imports torch, so a mistake is told at once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from export.data.class_folders import audio_files
from export.data.dataset import read_dataset
from export.data.recording import Dataset
from export.data.splits import split_dataset
from export.models.config import preset
from export.training.config import TrainConfig
from stream.errors import DataError


def open_data(config: TrainConfig) -> Dataset:
    """The data set of a configuration, split.

    Raises:
        DataError: see ``read_dataset`` and ``split_dataset``; no background where some is said to be.
    """
    data = read_dataset(config.data, config.labels, unknown=config.unknown)
    if config.background is not None:
        backgrounds = audio_files(Path(config.background))
        if not backgrounds:
            raise DataError(f"{config.background}: no audio file for the background; choose another folder")
        data = replace(data, backgrounds=tuple(backgrounds))
    return split_dataset(data, config.split)


def check_network(config: TrainConfig) -> None:
    """SpecError for a preset that does not exist, or a shape that no network can have."""
    preset(config.model, features=config.features.width, classes=2, **config.model_changes)
