"""From labelled sound, or anyone's PyTorch model, to one proven streaming ONNX file. Needs the ``export`` extra,
except for ``data``, ``calibration`` and ``recalibration``.

    data          folders and manifests of recordings; splits that never divide a group; cached features
    augmentation  changes to waveforms, to features and to log-mel energies
    models        rnn, lstm, gru, crnn, tcn, dstcn, gla: causal, whole sequences or piece by piece; checkpoints
    training      fit() for prepared batches, train() from labelled audio, search() over settings
    pictures      training and evaluation as pictures
    streaming     the pass over an offline graph that turns left context into state
    conversion    to_onnx(): any causal torch module or offline ONNX to a stateful graph, checked to be equal
    keras         from_keras(): the same for a network that Keras saved, without Keras
    metrics       figures of merit, defined once for evaluations, cards and the README
    evaluation    a model on labelled recordings, with the live classifier and detector
    recalibration rules for a model that exists, on sound of the place where it listens
    recipes       how the bundled models were made; in a clone, not in the installed package
    cli           the commands data, train, export, evaluate, teach and calibrate

    from export import to_onnx
    to_onnx(module, "model.onnx", card, example)

Names are imported when first used: torch takes a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import stream  # noqa: F401  # before ONNX Runtime, whatever is imported first: see there
from export.lazy import lazy_names

if TYPE_CHECKING:
    from export.conversion.onnx_export import to_onnx
    from export.evaluation import evaluate
    from export.keras.conversion import from_keras
    from export.models import ModelConfig, build, preset
    from export.models.checkpoint import load_model, save_model
    from export.training import FitConfig, TrainConfig, fit, train

_HOME_OF = {
    "FitConfig": "export.training",
    "ModelConfig": "export.models",
    "TrainConfig": "export.training",
    "build": "export.models",
    "evaluate": "export.evaluation",
    "fit": "export.training",
    "from_keras": "export.keras.conversion",
    "load_model": "export.models.checkpoint",
    "preset": "export.models",
    "save_model": "export.models.checkpoint",
    "to_onnx": "export.conversion.onnx_export",
    "train": "export.training",
}

__all__ = [
    "FitConfig",
    "ModelConfig",
    "TrainConfig",
    "build",
    "evaluate",
    "fit",
    "from_keras",
    "load_model",
    "preset",
    "save_model",
    "to_onnx",
    "train",
]


__getattr__, __dir__ = lazy_names(__name__, _HOME_OF)
