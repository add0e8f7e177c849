"""What is made: features, the network, how much sound is composed and how long it is learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stream.features.spec import MfccSpec

LABELS = ("smoke_alarm", "co_alarm", "beep")
# A window of 64 ms tells a tone from noise far better than one of 32 ms; every 40 ms, a pulse of a carbon monoxide
# alarm is still two to three frames, and its gap too.
FEATURES = MfccSpec(n_fft=1024, win_length=1024, hop_length=640, n_mels=64, n_mfcc=None, f_min=200.0)
NETWORK: dict[str, Any] = {
    "axes": "time-frequency", "norm": False, "conv_layers": 3, "kernel": 3, "channels": 16, "layers": 1, "hidden": 64,
}  # fmt: skip


@dataclass(frozen=True)
class AlarmSettings:
    """How much to compose and how long to train.

    Attributes:
        hours: of composed training streams in a round.
        rounds: how many are composed.
        passes: how often all of them are gone through, each time in another order.
        validation_hours, negative_hours: of scenes to choose rules on: with alarms, and with nothing of the kind.
        trials: scenes for each pattern, background and ratio in the figures.
        learning_rate: the highest.
        rows, chunk: streams side by side, and frames of a step: 8 s, more than a cycle of any cadence.
        memory: frames over which the recurrent layer may hold on to its state: 40 s.
        average: decay of the running mean of the weights.
        seed: of everything.
    """

    hours: float = 5.0
    rounds: int = 6
    passes: int = 16
    validation_hours: float = 2.0
    negative_hours: float = 4.0
    trials: int = 12
    learning_rate: float = 3e-3
    rows: int = 16
    chunk: int = 200
    memory: float = 1000.0
    average: float = 0.998
    seed: int = 1
