"""A small network for one beep: trained on its cadence and pitch, its threshold chosen, its figures counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from export.data.recording import Split
from export.models import FrameClassifier, build, preset
from export.scenes.negatives import negative_streams
from export.scenes.sounder_labels import Placed, frame_targets
from export.teaching.beep_scenes import CYCLES, SAMPLE_RATE, BeepComposer, ComposedBeeps
from export.teaching.beeping import Beeping
from export.training import FitConfig, LongStreamBatches, fit
from stream.features.frontend import extract
from stream.features.spec import MfccSpec

Array = NDArray[np.float32]
Progress = Callable[[str], None]
HOP, WINDOW, BANDS = 640, 1024, 24
_BELOW, _ABOVE = 0.6, 1.7  # of the pitch: what is heard
LONGEST_CYCLE_SECONDS = 8.0
RATIOS_DB = (20.0, 10.0, 0.0)
IN_TIME_CYCLES = 3.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is composed and learnt.

    Attributes:
        streams, seconds: to learn from.
        epochs: through them.
        trials: of the beep at each ratio.
        quiet_seconds: of each kind of sound without it, to choose the threshold on, and again to count on.
    """

    streams: int = 96
    seconds: float = 40.0
    epochs: int = 30
    trials: int = 12
    quiet_seconds: float = 900.0


EFFORT = Effort()


@dataclass(frozen=True, eq=False, slots=True)
class Heard:
    """What a network gave for one stream.

    Attributes:
        probs: (T, 1) float32.
        sounder: the beep in it; None = none.
        seconds: of the stream.
        spec: of the frames.
    """

    probs: Array
    sounder: Placed | None
    seconds: float
    spec: MfccSpec


def features_for(beep: Beeping) -> MfccSpec:
    """Bands about the pitch alone: what sounds elsewhere is not even heard."""
    low = max(60.0, _BELOW * beep.hertz)
    high = min(0.49 * SAMPLE_RATE, max(_ABOVE * beep.hertz, low + 400))
    return MfccSpec(
        n_fft=WINDOW, win_length=WINDOW, hop_length=HOP, n_mels=BANDS, n_mfcc=None, f_min=low, f_max=high,
        mel_scale="htk",
    )  # fmt: skip


def trained(beep: Beeping, label: str, effort: Effort, seed: int, progress: Progress) -> FrameClassifier:
    """A network for a beep, from synthesised streams; minutes on one core."""
    spec = features_for(beep)
    composer = BeepComposer(beep, label, "train", seed=seed)
    seconds = max(effort.seconds, 4 * CYCLES * beep.cadence.cycle)
    features, targets, weights = [], [], []
    for index in range(effort.streams):
        if index % 16 == 0:
            progress(f"composing sound with it, {index} of {effort.streams} streams")
        stream = composer.stream(seconds, np.random.default_rng([seed, index]))
        rows = extract(stream.samples, spec)
        ends = (np.arange(len(rows)) * HOP + WINDOW) / SAMPLE_RATE
        target, weight = frame_targets(stream.sounders, ends, (label,))
        features.append(rows.astype(np.float16))
        targets.append(np.concatenate([target, _pulses(stream, ends - WINDOW / SAMPLE_RATE / 2)], axis=1))
        weights.append(weight)
    torch.manual_seed(seed)
    model = build(
        preset(
            "crnn", features=spec.width, classes=2, axes="time-frequency", norm=False, conv_layers=2, kernel=3,
            channels=8, hidden=40, layers=1,
        )
    )  # fmt: skip
    stacked = np.stack(features)
    flat = stacked[:, ::10].reshape(-1, spec.width).astype(np.float32)
    model.fit(torch.from_numpy(flat.mean(0)), torch.from_numpy(flat.std(0)))
    batches = LongStreamBatches(
        stacked, np.stack(targets), rows=min(16, effort.streams), seed=seed, weights=np.stack(weights),
        chunk=min(stacked.shape[1], max(200, round(2.2 * beep.cadence.cycle * SAMPLE_RATE / HOP))),
    )  # fmt: skip
    settings = FitConfig(
        activation="sigmoid", epochs=effort.epochs, learning_rate=4e-3, average=0.98, seed=seed, device="cpu",
        memory=max(500.0, 4 * beep.cadence.cycle * SAMPLE_RATE / HOP),
    )  # fmt: skip
    progress(f"learning, {effort.epochs} times through {effort.streams * seconds / 60:.0f} minutes")
    fit(model, batches, settings)
    return _cadence_alone(model)


def _pulses(stream: ComposedBeeps, middles: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(T, 1) uint8, 1 in a pulse of the beep. A cadence is made of pulses: to learn these too is a help."""
    targets = np.zeros((len(middles), 1), np.uint8)
    for begin, end in stream.pulses:
        targets[(middles >= begin) & (middles < end)] = 1
    return targets


def _cadence_alone(model: FrameClassifier) -> FrameClassifier:
    """The same network without the output for pulses, which helped in learning."""
    alone = build(msgspec.structs.replace(model.config, classes=1))
    weights = model.state_dict()
    alone.load_state_dict({**weights, **{name: weights[name][:1] for name in ("head.weight", "head.bias")}})
    return alone.eval()


def heard_trials(
    model: FrameClassifier, beep: Beeping, label: str, part: Split, ratio: float, count: int, seed: int
) -> list[Heard]:
    """The beep at one ratio over sound of another part."""
    composer = BeepComposer(beep, label, part, seed=seed)
    seconds = 4.0 + max(6.0, (IN_TIME_CYCLES + 1) * beep.cadence.cycle)
    found = []
    for index in range(count):
        samples, sounder = composer.trial(seconds, 4.0, ratio, np.random.default_rng([seed, index]))
        spec = features_for(beep)
        found.append(Heard(probabilities(model, samples, spec), sounder, seconds, spec))
    return found


def heard_quiet(
    model: FrameClassifier, beep: Beeping, label: str, part: Split, seconds: float, own: Sequence[Array] = ()
) -> list[Heard]:
    """Speech, music, noise and silence that come with the project, and the user's own hours, none with the beep."""
    streams = negative_streams(part, SAMPLE_RATE, seconds, without=("beep", "alarm", label), seed=3)
    spec = features_for(beep)
    return [
        Heard(probabilities(model, samples, spec), None, len(samples) / SAMPLE_RATE, spec)
        for samples in (*(stream.samples for stream in streams), *own)
    ]


def probabilities(model: FrameClassifier, samples: Array, spec: MfccSpec) -> Array:
    """(T, 1) float32 of a whole stream."""
    rows = extract(samples, spec)
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(rows[None]))
    out: Array = torch.sigmoid(logits)[0].numpy()
    return out
