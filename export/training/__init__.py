"""Training: from labelled streams of features to a network that keeps its accuracy while its state is carried.

The lower half works on any prepared batches and any ``torch.nn.Module``::

    from export.training import Batch, FitConfig, fit

    def batches(epoch: int) -> Iterable[Batch]: ...      # deterministic in epoch: a resumed run repeats it
    def validate(model: nn.Module) -> dict[str, float]: ...

    result = fit(model, batches, FitConfig(activation="sigmoid", epochs=40, monitor="f1"),
                 validate=validate, folder=Path("runs/mine"), report=RichReport())

Batch(features (N, T, F) float32, targets (N, T') int64 or (N, T', C) float32, weight (N, T') float32,
reset (N,) bool or None), T' = T // stride. With ``reset`` each row continues the same row of the batch before, in
the state it was left in (``model(features, state)``), except where it is True; None means whole sequences
(``model(features)``).

The upper half, ``train(TrainConfig(data="recordings"), "model.pt")``, does everything from labelled audio on.

    config.py         TrainConfig
    settings.py       its fields by name and text
    stream_config.py  StreamConfig: how recordings become batches
    targets.py        where in a recording its label is learnt
    sampler.py        recordings, gaps and background, drawn and augmented
    batching.py       cut and stacked into batches
    epochs.py         recordings laid end to end in long streams, or side by side
    long_streams.py   batches and curricula of long labelled streams whose features are already computed
    batch.py          Batch: what one step learns from
    loss.py           frame losses with weights
    tensors.py        carried states and sets of weights
    fit_config.py     FitConfig: how to train
    loop.py           fit(): optimiser, schedule, early stop, averaging, resume
    validation.py     validation figures, with carried state and without
    progress.py       what is shown while it runs
    time_left.py      how long it will still take
    run_folder.py     what is kept of a run
    opening.py        the data set and the settings, looked at before torch is there
    choices.py        settings that suit a data set, where nothing else was asked for
    prepare.py        from a TrainConfig to batches
    scene_data.py     composed streams, from a configuration and a split data set
    scene_epochs.py   their batches
    heard_validation.py  validation in composed streams
    measuring.py      what a network is measured on
    listening.py      a trained network on streams as they will be heard
    fitting.py        a network trained; the best of several
    doubts.py         why figures may promise too much
    pipeline.py       train()
    search.py         search(): settings compared by cross-validation
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.lazy import lazy_names

if TYPE_CHECKING:
    from export.training.batch import Batch
    from export.training.config import TrainConfig
    from export.training.fit_config import FitConfig
    from export.training.long_streams import Curriculum, LongStreamBatches
    from export.training.loop import FitResult, fit
    from export.training.pipeline import TrainResult, train
    from export.training.progress import Report, RichReport
    from export.training.stream_config import StreamConfig

_HOME_OF = {
    "Batch": "export.training.batch",
    "Curriculum": "export.training.long_streams",
    "FitConfig": "export.training.fit_config",
    "FitResult": "export.training.loop",
    "LongStreamBatches": "export.training.long_streams",
    "Report": "export.training.progress",
    "RichReport": "export.training.progress",
    "StreamConfig": "export.training.stream_config",
    "TrainConfig": "export.training.config",
    "TrainResult": "export.training.pipeline",
    "fit": "export.training.loop",
    "train": "export.training.pipeline",
}

__all__ = [
    "Batch",
    "Curriculum",
    "FitConfig",
    "FitResult",
    "LongStreamBatches",
    "Report",
    "RichReport",
    "StreamConfig",
    "TrainConfig",
    "TrainResult",
    "fit",
    "train",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME_OF)
