"""City sounds on YAMNet's embeddings: how a network on them is trained, for ``export.recipes.urban --embedding``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.augmentation import AugmentConfig
from export.recipes.yamnet import SPEC, STRIDE
from export.training import FitConfig, TrainConfig
from export.training.stream_config import StreamConfig

SHAPE: dict[str, Any] = {"hidden": 96, "layers": 1, "dropout": 0.3}
CHANGES: dict[str, dict[str, Any]] = {
    "rnn": SHAPE,
    "lstm": SHAPE,
    "gru": SHAPE,
    "tcn": {**SHAPE, "layers": 2},
    "crnn": {**SHAPE, "channels": 96, "conv_layers": 1, "kernel": 3},
}
EMBEDDING_DROPOUT = 0.5  # of embeddings


def settings(data: Path, model: str) -> TrainConfig:
    """On embeddings that tell sounds apart, little is left to learn: few steps, much variety."""
    return TrainConfig(
        data=str(data),
        model=model,
        model_changes=CHANGES[model],
        features=SPEC,
        fit=FitConfig(epochs=1, average=0.98, learning_rate=2e-3, weight_decay=0.05, warmup=0.1),
        augment=AugmentConfig(
            gain=6, tilt=2, warp=0.05, mix=0.4, snr=(3, 25), time_mask=0.2, mask_frames=25, band_mask=0.2
        ),
        streams=StreamConfig(rows=32, frames=2 * STRIDE, balance=0.5),
        where="all",
        steps=300,
        validation=0,
        test=0,
    )
