"""What is made: features, the two networks, how much sound is composed and how long the networks are trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stream.features.spec import MfccSpec

# 20 ms between frames: half the cost of 10 ms, and speech, music and noise do not change faster.
FEATURES = MfccSpec(n_fft=512, win_length=512, hop_length=320, n_mels=48, n_mfcc=48, f_min=20.0)
# Predictions are about the sound of 40 ms ago: syllables are told from clicks by what follows them.
DELAY_FRAMES = 2
# How far under another source noise is meant to be heard: what is quieter is not labelled while the other sounds.
NOISE_HEARD_DB = 20.0
# MFCC become bands again, and two convolutions over time and frequency, each of which halves the bands, read them
# before the recurrent layer: a sound is the same wherever on the frequency axis it lies.
COMMON_SHAPE: dict[str, Any] = {
    "axes": "time-frequency", "bands": True, "norm": False, "conv_layers": 2, "kernel": 3, "layers": 1,
}  # fmt: skip
NETWORK_SHAPES: dict[str, dict[str, Any]] = {
    "default": {**COMMON_SHAPE, "channels": 20, "hidden": 160},
    "small": {**COMMON_SHAPE, "channels": 8, "hidden": 56},
}


@dataclass(frozen=True)
class RecipeSettings:
    """How much to compose and how long to train.

    Two networks of the default's shape, from different random weights, learn from the labels: the teachers. What they
    predict on average is then learnt, beside the labels, by the two that are published: the default starts from the
    weights of the better teacher, the small one from random ones. All go through every round ``passes`` times, each
    time in another order, at a learning rate that rises, then falls to a hundredth. A published network is the mean
    of the weights of its best and its last pass.

    Attributes:
        hours: of composed training streams in a round.
        rounds: how many are composed; round r has the seed 100 + r.
        teacher_seeds: one for each teacher.
        passes: name -> how often it goes through every round; "teacher" and the published ones.
        learning_rates: name -> highest learning rate; "continue" is that of training a published network further.
        seeds: published name -> seed of its random weights, and of all that is drawn in training.
        teacher_share: of the teacher targets in what is learnt, beside the labels.
        average: decay of the running mean of the weights.
        memory: frames (20 ms) over which the recurrent layer may hold on to its state: without a limit some units
            remember for an hour (FitConfig.memory).
        without: cases (scenes/cases.py) that are left out of training; streams of the general mix take their place.
        noise_heard_db: noise further under another source counts as unheard in training; said in the card.
        level_memory: frames over which networks take the running level of their input off it; 0 = they do not.
    """

    hours: float = 12.8
    rounds: int = 10
    teacher_seeds: tuple[int, ...] = (1, 2)
    passes: dict[str, int] = field(default_factory=lambda: {"teacher": 4, "default": 2, "small": 4})
    learning_rates: dict[str, float] = field(
        default_factory=lambda: {"teacher": 2e-3, "default": 8e-4, "small": 2e-3, "continue": 5e-4}
    )
    seeds: dict[str, int] = field(default_factory=lambda: {"default": 3, "small": 4})
    teacher_share: float = 0.5
    average: float = 0.998
    memory: float = 1000.0
    without: tuple[str, ...] = ()
    noise_heard_db: float = NOISE_HEARD_DB
    level_memory: int = 0

    @property
    def variant(self) -> str:
        """Names what differs from the recipe as it is, for folders: runs with other switches share a cache."""
        parts = [f"without-{name}" for name in sorted(self.without)]
        parts += [f"heard-{self.noise_heard_db:g}"] if self.noise_heard_db != NOISE_HEARD_DB else []
        parts += [f"level-{self.level_memory}"] if self.level_memory else []
        return "-".join(parts)
